import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { RelayStatus } from '@tidemark/protocol/api';
import { PATHS } from '@tidemark/protocol/paths';
import { FactsJson } from '@tidemark/status/facts';
import { StatusJson } from '@tidemark/status/status';
import { FaultProxy } from '@tidemark/testing/fault-proxy';
import { connect, differences } from '@tidemark/testing/oracle';
import { type EmbeddedPostgres, startPostgres } from '@tidemark/testing/postgres/embedded';
import { type Running, run, until } from '@tidemark/testing/processes';
import { Random } from '@tidemark/testing/random';
import { System } from '@tidemark/testing/system';
import Database from 'better-sqlite3';
import type pg from 'pg';
import { afterEach, expect, test } from 'vitest';
import {
  causeFaults,
  isWithoutKey,
  keepFeedRunning,
  type Lab,
  LONGEST_DELAY_MS,
  LONGEST_PAUSE_MS,
  repairTables,
} from './fault-lab.ts';

/**
 * S12, S13: nothing is called up to date that is not.
 *
 * A writer commits to a ledger at the master and notes when each commit was certain. Meanwhile faults occur, and the
 * test reads all statements that the product makes about freshness. Each has a time up to which it claims to hold
 * everything. It is wrong if an entry that was committed before this time is missing.
 */

const cleanup: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of cleanup.splice(0).reverse()) await stop();
});

/** TIDEMARK_SEED replays a failed run. TIDEMARK_FAULT_MINUTES is how long faults occur. */
const seeds = process.env.TIDEMARK_SEED ? [Number(process.env.TIDEMARK_SEED)] : [1];
const FAULTS_MS = Number(process.env.TIDEMARK_FAULT_MINUTES ?? 1) * 60_000;
/** From this source lag on, the terminals of this test say that the relay is behind. By default it is 5 minutes. */
const LAG_WARN_MS = 5_000;
/**
 * A terminal that has only seen answers that were on the way for long dates the later ones of them too late by as much.
 */
const ANSWER_DELAY_MS = LONGEST_DELAY_MS + LONGEST_PAUSE_MS;
/** Clocks of one machine, and times that are rounded to a millisecond. */
const CLOCK_MS = 20;

const TABLES = ['alpha', 'beta', 'gamma'];
const WATCHERS = ['one', 'two'];

/** An entry of the ledger: it was committed between these times, by the clock of this machine. */
interface Entry {
  n: number;
  beforeMs: number;
  afterMs: number;
}

/** Commits entries and changes of the other tables until `stopped`. */
class Writer {
  readonly entries: Entry[] = [];
  readonly #random: Random;
  readonly #postgres: EmbeddedPostgres;
  #n = 0;

  constructor(postgres: EmbeddedPostgres, random: Random) {
    this.#postgres = postgres;
    this.#random = random;
  }

  async run(stopped: AbortSignal): Promise<void> {
    while (!stopped.aborted) {
      const master = await connect(this.#postgres.url).catch(() => null);
      try {
        while (master && !stopped.aborted) {
          await this.#commit(master).catch(async (error: unknown) => {
            if (!isWithoutKey(error)) throw error;
            await master.query('ROLLBACK');
          });
          await sleep(this.#random.int(10, 400));
        }
      } catch (error) {
        // A fault ended the connection. Whether the last commit took place is unknown.
        if ((error as { severity?: string }).severity === 'ERROR') throw error;
      }
      await master?.end().catch(() => undefined);
      await sleep(200);
    }
  }

  async #commit(master: pg.Client): Promise<void> {
    const n = ++this.#n;
    const table = this.#random.pick(TABLES);
    const id = this.#random.int(1, 60);
    await master.query('BEGIN');
    await master.query(`INSERT INTO ledger VALUES (${n})`);
    await master.query(`DELETE FROM ${table} WHERE id = ${id}`);
    await master.query(`INSERT INTO ${table} (id, text) VALUES (${id}, 'entry ${n}')`);
    const beforeMs = Date.now();
    await master.query('COMMIT');
    this.entries.push({ n, beforeMs, afterMs: Date.now() });
  }

  /** Returns the newest entry that was certainly committed by `ms`. */
  newestBy(ms: number): Entry | undefined {
    return this.entries.findLast(({ afterMs }) => afterMs <= ms);
  }
}

/** Checks statements about freshness. Collects the wrong ones, each with the observation. */
class Judge {
  readonly wrong: string[] = [];
  /** Number of statements by kind. */
  readonly made: Record<string, number> = {};
  readonly #writer: Writer;
  readonly #log: string[];

  constructor(writer: Writer, log: string[]) {
    this.#writer = writer;
    this.#log = log;
  }

  /**
   * The statement `kind` claims to hold everything that was committed by `claimedMs`. `holds` reports whether an entry
   * is certainly not missing.
   */
  claim(kind: string, claimedMs: number, holds: (entry: Entry) => boolean, observed: unknown): void {
    this.made[kind] = (this.made[kind] ?? 0) + 1;
    const entry = this.#writer.newestBy(claimedMs - CLOCK_MS);
    if (!entry || holds(entry)) return;
    this.wrong.push(
      `${kind}: claims all until ${iso(claimedMs)}, but entry ${entry.n} of ${iso(entry.afterMs)} is missing. ${JSON.stringify(observed)}\nlast faults: ${this.#log.slice(-6).join('; ')}`,
    );
  }
}

const iso = (ms: number) => new Date(ms).toISOString();
/** Whether data up to a commit time, in ms, includes an entry or one that was committed at the same time. */
const through = (committedMs: number | null) => (entry: Entry) =>
  committedMs !== null && committedMs >= entry.beforeMs - 1;

/** The lag that the relay states, directly and in its metrics. */
async function judgeRelay(system: System, judge: Judge): Promise<void> {
  const token = readFileSync(system.tokenFile('branch-7'), 'utf8').trim();
  const admin = readFileSync(system.tokenFile('head-office'), 'utf8').trim();
  const timeout = { signal: AbortSignal.timeout(30_000) };
  const answer = await fetch(system.url + PATHS.status('shop'), {
    headers: { authorization: `Bearer ${token}` },
    ...timeout,
  });
  if (!answer.ok) return;
  const { now, head, feed } = RelayStatus.parse(await answer.json());
  if (feed.lagMs !== null)
    judge.claim('status of the relay', now - feed.lagMs, through(head?.committedAt ?? null), { head, feed });
  const asked = Date.now();
  const text = await (
    await fetch(`${system.url}/metrics`, { headers: { authorization: `Bearer ${admin}` }, ...timeout })
  ).text();
  const heard = Date.now();
  const value = (name: string) =>
    Number(new RegExp(`^${name}\\{feed="shop"\\} (\\S+)`, 'm').exec(text)?.[1] ?? Number.NaN) * 1000;
  const [lagMs, ageMs] = [value('relay_source_lag_seconds'), value('relay_head_age_seconds')];
  if (!Number.isNaN(lagMs))
    judge.claim('metrics', asked - lagMs, through(Number.isNaN(ageMs) ? null : heard - ageMs), { lagMs, ageMs });
}

/** The row of `tidemark_status` in a terminal's file, with the ledger in the same read transaction. */
function judgeFile(system: System, name: string, judge: Judge): void {
  let db: Database.Database;
  try {
    db = new Database(system.database(name), { readonly: true, fileMustExist: true });
  } catch {
    return;
  }
  try {
    const read = db.transaction(() => ({
      row: db.prepare('SELECT code, checked_at, headline FROM tidemark_status').get() as
        | { code: string | null; checked_at: string | null }
        | undefined,
      n: Number(db.prepare('SELECT max(n) FROM ledger').pluck().get() ?? 0),
    }));
    const { row, n } = read();
    if (row?.code !== 'up-to-date' || row.checked_at === null) return;
    const claimedMs = Date.parse(row.checked_at) - LAG_WARN_MS - ANSWER_DELAY_MS;
    judge.claim('tidemark_status', claimedMs, (entry) => n >= entry.n, { row, n });
  } catch (error) {
    // Before the first copy the tables do not exist.
    if (!String(error).includes('no such table')) throw error;
  } finally {
    db.close();
  }
}

/** The command `status --json`: the time up to which it calls the data up to date. */
async function judgeCommand(system: System, name: string, judge: Judge): Promise<void> {
  const { code, stdout } = await run('terminal', [...system.terminalArgs('status', system.database(name)), '--json']);
  if (code !== 0 || stdout === '') return;
  const { status, facts } = JSON.parse(stdout) as { status: unknown; facts: unknown };
  const { code: state } = StatusJson.parse(status);
  const { probe, replica } = FactsJson.parse(facts);
  if (state !== 'up-to-date' || probe === null) return;
  const claimedMs = probe.at - (probe.status.feed.lagMs ?? 0);
  judge.claim('command status', claimedMs, through(replica.committedAt), { probe: probe.status.feed, replica });
}

/** The command `pull`: exit code 0 states that the data does not fall short of head office's. */
async function judgePull(system: System, name: string, judge: Judge): Promise<void> {
  const startedMs = Date.now();
  const { code, stdout } = await run('terminal', system.terminalArgs('pull', system.database(name)));
  if (code !== 0) return;
  const db = new Database(system.database(name), { readonly: true });
  const n = Number(db.prepare('SELECT max(n) FROM ledger').pluck().get() ?? 0);
  db.close();
  judge.claim('command pull', startedMs - LAG_WARN_MS, (entry) => n >= entry.n, { stdout, n });
}

test.each(seeds)(
  'up-to-date-during-faults: no terminal calls data up to date while an older commit is missing (seed %i)',
  { timeout: FAULTS_MS + 25 * 60_000 },
  async (seed) => {
    process.env.TIDEMARK_SOURCE_LAG_WARN_MS = String(LAG_WARN_MS);
    const random = new Random(seed);
    const postgres = await startPostgres({ walLevel: 'logical' });
    cleanup.push(() => postgres.stop());
    const master = await connect(postgres.url);
    await master.query('CREATE TABLE ledger (n integer PRIMARY KEY)');
    for (const table of TABLES) await master.query(`CREATE TABLE ${table} (id integer PRIMARY KEY, text text)`);
    await master.end();
    const system = await System.start(postgres.url, null, { terminals: { one: {}, two: {}, puller: {} } });
    cleanup.push(() => system.stop());
    await system.addToken('admin', 'head-office');
    await system.settled();
    const [feedLink, terminalLink] = [await FaultProxy.start(system.url), await FaultProxy.start(system.url)];
    cleanup.push(
      () => feedLink.stop(),
      () => terminalLink.stop(),
    );
    system.feedUrl = feedLink.url;
    system.terminalUrl = terminalLink.url;
    await system.feed?.stop('SIGTERM');
    system.startFeed();

    const stopped = new AbortController();
    const ended = new AbortController();
    const over = new AbortController();
    cleanup.push(async () => over.abort());
    const log: string[] = [];
    const writer = new Writer(postgres, random);
    const judge = new Judge(writer, log);
    const watchers = new Map<string, Running>();
    const startWatcher = (name: string) => void watchers.set(name, system.startWatch(system.database(name), name));
    for (const name of WATCHERS) startWatcher(name);
    const lab: Lab = {
      system,
      random,
      postgres,
      feedLink,
      terminalLink,
      watchers,
      startWatcher,
      tables: TABLES,
      stopped: stopped.signal,
    };

    /** Repeats an observation until the test ends. The relay may be killed or paused meanwhile. */
    const observe = async (everyMs: number, work: () => Promise<unknown>) => {
      while (!ended.signal.aborted) {
        await work().catch((error: unknown) => {
          if (error instanceof TypeError || (error as Error).name === 'TimeoutError') return;
          throw error;
        });
        await sleep(everyMs);
      }
    };
    void keepFeedRunning(lab, over.signal, (code) => void log.push(`${iso(Date.now())} the feed ended (${code})`));
    const running = [
      observe(150, () => judgeRelay(system, judge)),
      observe(100, async () => WATCHERS.forEach((name) => void judgeFile(system, name, judge))),
      observe(1_500, () => judgeCommand(system, random.pick(WATCHERS), judge)),
      observe(4_000, () => judgePull(system, 'puller', judge)),
    ];
    const writing = writer.run(ended.signal);
    const failed = Promise.all([...running, writing]);
    const timer = setTimeout(() => stopped.abort(), FAULTS_MS);
    try {
      await Promise.race([failed, causeFaults(lab, (name) => void log.push(`${iso(Date.now())} ${name}`))]);
    } finally {
      clearTimeout(timer);
      stopped.abort();
    }
    expect(judge.wrong).toEqual([]);

    // The faults have ended: everything becomes equal, and every terminal reports it.
    for (const link of [feedLink, terminalLink]) link.trouble = { kind: 'none' };
    await repairTables(postgres.url, TABLES);
    await sleep(2_000);
    ended.abort();
    await failed;
    const last = writer.entries.at(-1)?.n ?? 0;
    expect(last).toBeGreaterThan(10);
    await system.settled();
    const oracle = await connect(postgres.url);
    cleanup.push(() => oracle.end());
    for (const name of WATCHERS) {
      await until(
        async () => {
          const db = new Database(system.database(name), { readonly: true });
          try {
            const state = db.prepare('SELECT code, (SELECT max(n) FROM ledger) AS n FROM tidemark_status').get() as {
              code: string;
              n: number;
            };
            return state.code === 'up-to-date' && state.n === last;
          } finally {
            db.close();
          }
        },
        () =>
          `${name} did not become up to date: ${watchers.get(name)?.stdout.slice(-1500)}\nfeed: ${system.feed?.stdout.slice(-2000)}\nfaults: ${log.slice(-8).join('; ')}`,
        8 * 60_000,
      );
    }
    await system.pull(system.database('puller'));
    for (const name of [...WATCHERS, 'puller'])
      for (const table of [...TABLES, 'ledger']) {
        const columns =
          table === 'ledger'
            ? [{ name: 'n', rule: 'integer' as const }]
            : [
                { name: 'id', rule: 'integer' as const },
                { name: 'text', rule: 'text' as const },
              ];
        expect(await differences(oracle, system.database(name), table, columns), `${name}: ${table}`).toEqual([]);
      }
    expect(judge.wrong).toEqual([]);
    console.log(
      `seed ${seed}: ${writer.entries.length} commits, ${log.length} faults, statements ${JSON.stringify(judge.made)}`,
    );
    expect(judge.made['status of the relay'] ?? 0).toBeGreaterThan(10);
    expect(judge.made.metrics ?? 0).toBeGreaterThan(10);
    expect(judge.made.tidemark_status ?? 0).toBeGreaterThan(10);
  },
);
