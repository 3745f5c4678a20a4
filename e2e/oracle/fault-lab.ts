import { setTimeout as sleep } from 'node:timers/promises';
import type { FaultProxy, Trouble } from '@tidemark/testing/fault-proxy';
import { connect } from '@tidemark/testing/oracle';
import type { EmbeddedPostgres } from '@tidemark/testing/postgres/embedded';
import type { Running } from '@tidemark/testing/processes';
import type { Random } from '@tidemark/testing/random';
import type { System } from '@tidemark/testing/system';
import type pg from 'pg';

/**
 * Random faults of a complete system, one or two at a time. Each lasts for a random time and is then undone: a fault
 * that cannot be undone would not show that everything becomes equal afterwards.
 */

/** The longest delay on a link, and the longest pause of a process, ms. */
export const LONGEST_DELAY_MS = 3_000;
export const LONGEST_PAUSE_MS = 6_000;

export interface Lab {
  system: System;
  random: Random;
  postgres: EmbeddedPostgres;
  feedLink: FaultProxy;
  terminalLink: FaultProxy;
  /** The terminals that follow the relay, by name. */
  watchers: Map<string, Running>;
  startWatcher: (name: string) => void;
  /** The tables that a fault may break. The ledger is not among them. */
  tables: string[];
  stopped: AbortSignal;
}

interface FaultKind {
  name: string;
  run: (lab: Lab, forMs: number) => Promise<void>;
}

const signal = (process: Running | null | undefined, name: NodeJS.Signals) => {
  if (process && process.child.exitCode === null && process.child.signalCode === null) process.child.kill(name);
};

async function paused(process: Running | null | undefined, forMs: number): Promise<void> {
  signal(process, 'SIGSTOP');
  await sleep(forMs);
  signal(process, 'SIGCONT');
}

async function broken(link: FaultProxy, trouble: Trouble, forMs: number): Promise<void> {
  link.trouble = trouble;
  await sleep(forMs);
  if (link.trouble === trouble) link.trouble = { kind: 'none' };
  link.closeUnanswered();
}

/** Whether the master refuses a delete or an update of a published table that has no key at the moment. */
export const isWithoutKey = (error: unknown): boolean => (error as { code?: string }).code === '55000';

/** Runs statements at the master. Another fault may end the connection, and then they have no effect. */
async function sql(source: string, work: (master: pg.Client) => Promise<unknown>): Promise<void> {
  const master = await connect(source).catch(() => null);
  if (master === null) return;
  try {
    await work(master);
  } catch (error) {
    if ((error as { severity?: string }).severity === 'ERROR' && !isWithoutKey(error)) throw error;
  } finally {
    await master.end().catch(() => undefined);
  }
}

/** Gives every table its key again, because a fault whose connection was ended may have left a table without one. */
export async function repairTables(source: string, tables: readonly string[]): Promise<void> {
  await sql(source, async (master) => {
    for (const table of tables) {
      const { rows } = await master.query(`SELECT 1 FROM pg_constraint WHERE conname = '${table}_pkey'`);
      if (rows.length === 0) await master.query(`ALTER TABLE ${table} ADD PRIMARY KEY (id)`);
    }
  });
}

const KINDS: FaultKind[] = [
  {
    name: 'the feed is killed',
    run: async ({ system }, forMs) => {
      // `keepFeedRunning` starts it again.
      await system.feed?.stop('SIGKILL');
      await sleep(forMs / 4);
    },
  },
  { name: 'the feed is paused', run: ({ system }, forMs) => paused(system.feed, forMs) },
  {
    name: 'the relay is killed',
    run: async ({ system }, forMs) => {
      await system.relay?.stop('SIGKILL');
      await sleep(forMs);
      await system.startRelay();
    },
  },
  {
    name: 'the relay is restarted',
    run: async ({ system }) => {
      await system.relay?.stop('SIGTERM');
      await system.startRelay();
    },
  },
  { name: 'the relay is paused', run: ({ system }, forMs) => paused(system.relay, forMs) },
  {
    name: 'a terminal is killed',
    run: async ({ watchers, random, startWatcher }, forMs) => {
      const name = random.pick([...watchers.keys()]);
      await watchers.get(name)?.stop('SIGKILL');
      await sleep(forMs / 2);
      startWatcher(name);
    },
  },
  {
    name: 'a terminal is paused',
    run: ({ watchers, random }, forMs) => paused(watchers.get(random.pick([...watchers.keys()])), forMs),
  },
  { name: "the feed's link is cut", run: ({ feedLink }, forMs) => broken(feedLink, { kind: 'cut' }, forMs) },
  { name: "the feed's link is silent", run: ({ feedLink }, forMs) => broken(feedLink, { kind: 'silence' }, forMs) },
  {
    name: "the feed's link is slow",
    run: ({ feedLink, random }, forMs) =>
      broken(feedLink, { kind: 'delay', ms: random.int(200, LONGEST_DELAY_MS) }, 2 * forMs),
  },
  {
    name: 'batches are refused',
    run: ({ feedLink, random }, forMs) =>
      broken(
        feedLink,
        { kind: 'answer', status: random.pick([413, 500, 502, 503]), body: 'no', only: /batches$/ },
        forMs,
      ),
  },
  {
    name: 'batches with changes are refused, and heartbeats arrive',
    run: ({ feedLink }, forMs) => broken(feedLink, { kind: 'refuse', words: '["b",' }, 2 * forMs),
  },
  {
    name: 'answers to batches are lost',
    run: ({ feedLink }, forMs) => broken(feedLink, { kind: 'withhold', words: '["b",' }, forMs),
  },
  {
    name: "the terminals' link is cut",
    run: ({ terminalLink }, forMs) => broken(terminalLink, { kind: 'cut' }, forMs),
  },
  {
    name: "the terminals' link is silent",
    run: ({ terminalLink }, forMs) => broken(terminalLink, { kind: 'silence' }, forMs),
  },
  {
    name: "the terminals' link is slow",
    run: ({ terminalLink, random }, forMs) =>
      broken(terminalLink, { kind: 'delay', ms: random.int(200, LONGEST_DELAY_MS) }, 2 * forMs),
  },
  {
    name: 'the master ends the connections of the feed',
    run: ({ postgres }) =>
      sql(postgres.url, (master) => master.query('SELECT pg_terminate_backend(pid) FROM pg_stat_replication')),
  },
  {
    name: 'the master is killed',
    run: async ({ postgres }, forMs) => {
      await postgres.kill9();
      await sleep(forMs / 2);
      await postgres.restart();
    },
  },
  {
    name: 'the slot is lost',
    run: ({ postgres, system }) =>
      sql(postgres.url, async (master) => {
        await system.feed?.stop('SIGKILL');
        await master.query('SELECT pg_terminate_backend(pid) FROM pg_stat_replication');
        const drop = `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name LIKE 'tidemark%'`;
        await master.query(drop).catch(() => undefined);
      }),
  },
  {
    name: 'a table loses its key',
    run: ({ postgres, random, tables }, forMs) =>
      sql(postgres.url, async (master) => {
        const table = random.pick(tables);
        await master.query(`ALTER TABLE ${table} DROP CONSTRAINT IF EXISTS ${table}_pkey`);
        await sleep(2 * forMs);
        await master.query(`ALTER TABLE ${table} ADD PRIMARY KEY (id)`);
      }),
  },
  {
    name: 'a table is rewritten',
    run: ({ postgres, random, tables }) =>
      sql(postgres.url, async (master) => {
        const table = random.pick(tables);
        await master.query(`ALTER TABLE ${table} ADD COLUMN IF NOT EXISTS more text DEFAULT clock_timestamp()::text`);
        await master.query(`ALTER TABLE ${table} DROP COLUMN more`);
      }),
  },
  {
    name: 'a transaction is large',
    run: ({ postgres, random, tables }) =>
      sql(postgres.url, (master) =>
        master.query(`UPDATE ${random.pick(tables)} SET text = repeat(md5(random()::text), 3000) WHERE id <= 60`),
      ),
  },
];

/** Causes faults until `stopped`, then undoes the last ones. Calls `onFault` with the name of each. */
export async function causeFaults(lab: Lab, onFault: (name: string) => void): Promise<void> {
  const { random, stopped } = lab;
  while (!stopped.aborted) {
    const kinds = [random.pick(KINDS), ...(random.chance(0.4) ? [random.pick(KINDS)] : [])];
    // Two faults of one process would undo each other's work.
    const chosen = kinds.filter(({ name }, n) => n === 0 || subjectOf(name) !== subjectOf(kinds[0]?.name ?? ''));
    await Promise.all(
      chosen.map(({ name, run }) => {
        onFault(name);
        return run(lab, random.int(300, LONGEST_PAUSE_MS));
      }),
    );
    await sleep(random.int(0, 4_000));
  }
}

const subjectOf = (name: string) =>
  [
    'feed is',
    'slot',
    'relay',
    "feed's link",
    'batches',
    "terminals' link",
    'a terminal',
    'table',
    'transaction',
    'master',
  ].findIndex((subject) => name.includes(subject));

/** Starts the feed again whenever it has ended, as a service manager does, until `ended`. */
export async function keepFeedRunning(
  { system }: Lab,
  ended: AbortSignal,
  onEnd: (code: number | null) => void,
): Promise<void> {
  while (!ended.aborted) {
    const { feed } = system;
    const done = await Promise.race([feed?.ended, sleep(500).then(() => null)]);
    if (ended.aborted) return;
    if (!done) continue;
    onEnd(done.code);
    await sleep(500);
    if (!ended.aborted) system.startFeed();
  }
}
