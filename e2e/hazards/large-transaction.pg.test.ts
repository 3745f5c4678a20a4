import { copyFileSync } from 'node:fs';
import type { Run } from '@tidemark/protocol/run';
import type { Progress } from '@tidemark/status/facts';
import type { Agent } from '@tidemark/terminal/agent/agent-api';
import { agentRun } from '@tidemark/testing/agent-run';
import { MemoryWatch } from '@tidemark/testing/memory';
import { connect } from '@tidemark/testing/oracle';
import { type EmbeddedPostgres, startPostgres } from '@tidemark/testing/postgres/embedded';
import { type Running, until } from '@tidemark/testing/processes';
import { System } from '@tidemark/testing/system';
import { readToken } from '@tidemark/testing/test-relay';
import Database from 'better-sqlite3';
import type pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';

/** Number of changes in the transaction. TIDEMARK_LARGE=10000000 takes some minutes. */
const LARGE = Number(process.env.TIDEMARK_LARGE ?? 300_000);
/**
 * Upper bound on the memory that each process adds to its idle memory, in MiB. It holds for transactions of any size.
 */
const BOUND_MIB = { feed: 200, relay: 320, terminal: 200 };
/** Length of a row in characters. It makes the transaction larger than the memory bounds of feed and terminal. */
const FILLING = Math.max(0, Math.ceil(240e6 / LARGE) - 120);
/** Number of changes in a transaction that lasts long enough to kill a process during it. */
const SOME = Math.ceil(LARGE / 3);
const MINUTES = 60_000 * Math.max(5, LARGE / 100_000);

let postgres: EmbeddedPostgres;
let master: pg.Client;
let system: System;
beforeEach(async () => {
  postgres = await startPostgres({
    walLevel: 'logical',
    settings: { max_wal_size: '16GB', shared_buffers: '256MB' },
  });
  master = await connect(postgres.url);
  await master.query('CREATE TABLE bulk (id bigint PRIMARY KEY, name text, amount numeric(12,2), note text)');
  // This table is much larger than the transaction, so that pages cost less than a snapshot.
  await master.query('CREATE TABLE archive (id int PRIMARY KEY, body text)');
  await master.query(
    `INSERT INTO archive SELECT n, (SELECT string_agg(md5(n || ' ' || m), '') FROM generate_series(1, 3200) m)
       FROM generate_series(1, ${Math.min(1000, Math.ceil(LARGE / 1000))}) n`,
  );
  system = await System.start(postgres.url);
  await system.settled();
  await system.pull();
}, MINUTES);
afterEach(async () => {
  await system.stop();
  await master.end();
  await postgres.stop();
});

/** Inserts rows in one transaction, with ids from `from`. */
const insert = (from: number, rows: number) =>
  master.query(
    `INSERT INTO bulk SELECT n, 'item ' || n, (n % 1000000) / 100.0, md5(n::text) || md5((n + 1)::text) || repeat('x', ${FILLING})
       FROM generate_series(${from}, ${from + rows - 1}) n`,
  );

const read = <T>(sql: string, name?: string): T => {
  const db = new Database(system.database(name), { readonly: true });
  try {
    return db.prepare(sql).get() as T;
  } finally {
    db.close();
  }
};
const standing = (name?: string) => read<{ seq: number; part: number }>('SELECT seq, part FROM tidemark_meta', name);
const rows = (name?: string) => read<{ n: number }>('SELECT count(*) AS n FROM bulk', name).n;

/**
 * Returns the peak memory of feed, relay and a waiting terminal, in MiB, while one transaction of `changes` changes
 * passes through.
 */
async function peaks(from: number, changes: number): Promise<Record<'feed' | 'relay' | 'terminal', number>> {
  const terminal = system.startWatch(system.database('watching'));
  await until(
    async () => terminal.stdout.includes('Up to date'),
    () => `the terminal does not follow: ${terminal.stdout}${terminal.stderr}`,
  );
  const pid = (running: Running | null) => running?.child.pid;
  const watches = {
    feed: new MemoryWatch(pid(system.feed)),
    relay: new MemoryWatch(pid(system.relay)),
    terminal: new MemoryWatch(pid(terminal)),
  };
  await insert(from, changes);
  await until(
    async () => terminal.stdout.includes(`Received ${changes.toLocaleString('en-GB')} changes`),
    () => `the transaction did not arrive: ${terminal.stdout}${system.feed?.stdout.slice(-2000)}`,
    MINUTES,
  );
  const { feed, relay, terminal: branch } = watches;
  const peaks = { feed: feed.growthMib, relay: relay.growthMib, terminal: branch.growthMib };
  const idle = { feed: feed.idleMib, relay: relay.idleMib, terminal: branch.idleMib };
  console.info(`${changes} changes in one transaction, MiB:`, { idle, peaks });
  expect((await terminal.stop('SIGTERM')).code).toBe(0);
  return peaks;
}

test(
  'S11 oversized-transaction: feed, relay and terminal stay within their memory bounds whatever the size',
  async () => {
    copyFileSync(system.database(), system.database('watching'));
    for (const [from, changes] of [
      [1, LARGE / 10],
      [LARGE, LARGE],
    ] as const) {
      // Restart the processes: memory that they kept from the previous round would hide the memory that this one needs.
      await system.feed?.stop();
      await system.relay?.stop('SIGTERM');
      await system.startRelay();
      system.startFeed();
      await system.settled();
      const taken = await peaks(from, changes);
      for (const name of ['feed', 'relay', 'terminal'] as const)
        expect(taken[name], `${name}, MiB beyond idle, ${changes} changes`).toBeLessThan(BOUND_MIB[name]);
    }
    const size = (await system.transactions()).at(-1)?.bytes ?? 0;
    expect(size / 1_048_576).toBeGreaterThan(BOUND_MIB.feed);
    expect(rows('watching')).toBe(LARGE + LARGE / 10);
  },
  MINUTES,
);

test(
  'S11 oversized-transaction: the pull resumes after a kill or cancel, reports progress, and applies atomically',
  async () => {
    copyFileSync(system.database(), system.database('whole'));
    const before = standing();
    await insert(1, SOME);
    await system.settled();

    const progress: Progress[] = [];
    const whole = await pullHere(system.database('whole'), (now) => {
      progress.push(now);
      expect(standing('whole').seq).toBe(before.seq);
      expect(rows('whole')).toBe(0);
    });
    expect(whole).toMatchObject({
      outcome: 'done',
      inserted: SOME,
      from: { seq: before.seq },
      to: { seq: before.seq + 1 },
    });
    const finishing = progress.filter(({ stage }) => stage === 'finishing');
    const coming = progress.filter((each) => !finishing.includes(each));
    expectSteadyGrowth(coming.map(({ bytes }) => bytes));
    expectSteadyGrowth(coming.map(({ done }) => done));
    expectSteadyGrowth(finishing.map(({ done }) => done));
    expect(finishing[0]?.done).toBe(0);
    for (const { done, total, bytes, bytesTotal } of progress) {
      expect(total).toBe(SOME);
      expect(done).toBeLessThanOrEqual(total);
      expect(bytes).toBeLessThanOrEqual(bytesTotal * 1.01);
    }

    const killed = system.startPull();
    await until(
      async () => standing().part > 4,
      () => `the terminal spooled nothing: ${killed.stdout}${killed.stderr}`,
    );
    await killed.stop('SIGKILL');
    expect(standing().seq).toBe(before.seq);
    expect(rows()).toBe(0);
    // Cancelling during the apply leaves the tables unchanged and keeps the received parts.
    const cancelled = await pullHere(system.database(), ({ stage, done }, agent) => {
      if (stage === 'finishing' && done > 0) agent.cancel();
    });
    expect(cancelled.outcome).toBe('cancelled');
    expect(standing()).toMatchObject({ seq: before.seq, part: expect.toSatisfy((part) => part > 4) });
    expect(rows()).toBe(0);
    const rest = JSON.parse((await system.pull(undefined, ['--json'])).stdout) as Run;
    expect(rest).toMatchObject({ outcome: 'done', inserted: SOME });
    expect(cancelled.bytes).toBeLessThan(whole.bytes);
    expect(rest.bytes).toBeLessThan(whole.bytes / 10);
    expect(rows()).toBe(SOME);
    expect(standing()).toEqual({ seq: before.seq + 1, part: 0 });
  },
  MINUTES,
);

/** Fails unless the numbers grow in several steps and never shrink. */
function expectSteadyGrowth(numbers: number[]): void {
  expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
  expect(new Set(numbers).size).toBeGreaterThan(2);
}

/** Pulls with an agent in this process, which reports its progress until the transaction is applied. */
function pullHere(database: string, onProgress: (progress: Progress, agent: Agent) => void): Promise<Run> {
  const each = (agent: Agent) => {
    const { phase } = agent.facts();
    if (phase.kind === 'syncing') onProgress(phase.progress, agent);
  };
  return agentRun({ relayUrl: system.url, token: readToken(system.tokenFile('branch-7')), database, each });
}
