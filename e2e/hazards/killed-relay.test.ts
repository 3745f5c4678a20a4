import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { RelayLink } from '@tidemark/master-feed/relay-link';
import { RelayStatus } from '@tidemark/protocol/api';
import type { BatchLine } from '@tidemark/protocol/lines';
import { PATHS } from '@tidemark/protocol/paths';
import { readConfig } from '@tidemark/relay-server/config/relay-config';
import { Tokens } from '@tidemark/relay-server/tokens/tokens';
import { environmentOf, killPointsIn } from '@tidemark/testing/kill-points';
import { freePort } from '@tidemark/testing/postgres/embedded';
import { type Running, run, start, until } from '@tidemark/testing/processes';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import { batchOf, ITEM, position } from '@tidemark/testing/test-relay';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

/**
 * A relay is killed at each step at which one of its threads changes a file: while it writes a batch, builds a snapshot
 * or compacts pages. After every kill, the next relay holds one committed state, finishes the work, and has removed the
 * files of the interrupted build. See docs/architecture.md, crash points.
 */

const ROWS = 300;
const EVERY_TEST_MS = 20 * 60_000;
const AT = '2026-11-23T08:00:00.000000Z';
const noise = (n: number) =>
  Array.from({ length: 80 }, (_, i) =>
    Math.sin(n * 1000 + i)
      .toString(36)
      .slice(2),
  ).join('');

let home: string;
let port: number;
/** The relay's folder after the first transactions, and a replica of the position before them. */
let original: string;
let behind: string;
const token: Record<string, string> = {};

/** The folder that a test's relay uses. It is put back into its original state before each kill. */
const folder = () => path.join(home, 'relay');
const data = (...names: string[]) => path.join(folder(), 'relay-data', ...names);
const log = () => path.join(home, 'steps');
const url = () => `http://127.0.0.1:${port}`;

function restore(): void {
  rmSync(folder(), { recursive: true, force: true });
  cpSync(original, folder(), { recursive: true });
}

/** Starts the relay. Returns once it answers, or has ended. */
async function startRelay(env: NodeJS.ProcessEnv = {}): Promise<Running> {
  const relay = start('relay', ['serve', '--config', path.join(folder(), 'relay.yaml')], env);
  await until(
    async () => ended(relay) || (await fetch(`${url()}/healthz`).catch(() => null))?.ok,
    () => `the relay did not start: ${relay.stdout}${relay.stderr}`,
  );
  return relay;
}

const ended = ({ child }: Running) => child.exitCode !== null || child.signalCode !== null;

async function get(route: string): Promise<Response | null> {
  return fetch(url() + route, { headers: { authorization: `Bearer ${token.terminal}` } }).catch(() => null);
}

async function status(): Promise<RelayStatus> {
  return RelayStatus.parse(await (await get(PATHS.status('shop')))?.json());
}

/** Sends a batch in a new session. Rejects when the relay dies. */
async function send(lines: BatchLine[]): Promise<void> {
  const link = new RelayLink(url(), 'shop', token.feed ?? '');
  const session = await link.session({ protocol: 1, source: { kind: 'postgres', id: 'test' }, version: 'test' });
  await link.sender(session.session)(batchOf(lines), null);
}

/** Returns one transaction that gives every row a name. */
function transaction(n: number): BatchLine[] {
  const rows = Array.from({ length: ROWS }, (_, i): [number, string] => [i + 1, noise(n * 1000 + i)]);
  return [
    ['b', position(n), AT],
    ['u', 1, rows],
    ['c', ROWS],
  ];
}

async function pull(file: string): Promise<void> {
  const command = ['pull', '--relay', url(), '--feed', 'shop', '--db', file];
  const done = await run('terminal', [...command, '--token-file', path.join(home, 'terminal.token')]);
  // Exit code 3 means only that the feed of this test sends nothing.
  if (done.code !== 0 && done.code !== 3) throw new Error(`pull: exit ${done.code}\n${done.stdout}${done.stderr}`);
}

function rowsIn(file: string): [number, string][] {
  const db = new Database(file, { readonly: true });
  try {
    return db.prepare('SELECT id, name FROM item ORDER BY id').raw().all() as [number, string][];
  } finally {
    db.close();
  }
}

/** The rows after transaction `n`. */
const rowsAfter = (n: number) => Array.from({ length: ROWS }, (_, i) => [i + 1, noise(n * 1000 + i)]);

/** Number of transactions in {@link original}. Transaction 1 is the base copy. */
const HELD = 6;

beforeAll(async () => {
  home = temporaryFolder('killed-relay');
  original = path.join(home, 'original');
  behind = path.join(home, 'behind.sqlite');
  port = await freePort();
  mkdirSync(folder());
  writeFileSync(
    path.join(folder(), 'relay.yaml'),
    `listen: 127.0.0.1:${port}\ndata: ./relay-data\nfeeds:\n  shop: {}\n`,
  );
  const tokens = new Tokens(readConfig(path.join(folder(), 'relay.yaml')));
  for (const role of ['feed', 'terminal'] as const) {
    token[role] = tokens.add({ name: role, role, feed: 'shop', attributes: {} }, new Date());
    writeFileSync(path.join(home, `${role}.token`), token[role]);
  }
  tokens.close();
  const relay = await startRelay();
  const base = Array.from({ length: ROWS }, (_, i): [number, string] => [i + 1, noise(1000 + i)]);
  await send([
    ['s', 1, ITEM],
    ['B', position(1), AT, 'test'],
    ['i', 1, base],
    ['c', ROWS],
  ]);
  await pull(behind);
  for (let n = 2; n <= HELD; n++) await send([['s', 1, ITEM], ...transaction(n)]);
  await relay.stop('SIGTERM');
  rmSync(data('shop', 'snapshots'), { recursive: true });
  rmSync(data('shop', 'squashes'), { recursive: true });
  cpSync(folder(), original, { recursive: true });
}, EVERY_TEST_MS);

afterAll(() => rmSync(home, { recursive: true, force: true }));

interface Work {
  name: string;
  /** File name of the thread's module. */
  module: string;
  /** The steps that belong to this work. */
  steps: RegExp;
  /** Makes the relay do the work. Returns once it is done, or rejects when the relay dies. */
  cause(): Promise<unknown>;
  /** Checks the next relay, which has just started, and lets it finish the work. */
  check(): Promise<void>;
}

/** Repeats a request until the relay has prepared its answer. */
async function prepared(route: string): Promise<void> {
  await until(
    async () => {
      const answer = await get(route);
      if (answer === null) throw new Error('the relay is gone');
      return answer.ok;
    },
    () => `${route} was never answered`,
  );
}

/** The names of files, without the parts that differ. */
const files = (name: string) => readdirSync(data('shop', name)).sort();

async function checkSnapshots(): Promise<void> {
  const manifests = files('snapshots').filter((name) => name.endsWith('.json'));
  const complete = manifests.flatMap((name) =>
    ['', '.gzip', '.json', '.zstd'].map((end) => name.replace('.json', end)),
  );
  expect(files('snapshots')).toEqual(complete);
  const replica = path.join(home, 'new.sqlite');
  rmSync(replica, { force: true });
  await pull(replica);
  expect(rowsIn(replica)).toEqual(rowsAfter(HELD));
  expect(files('snapshots')).toHaveLength(4);
}

/** The address of the first compacted page between the replica `behind` and the head. */
async function squashed(): Promise<string> {
  const { head } = await status();
  return PATHS.squashed('shop', head?.epoch ?? '', 'all', '1', HELD);
}

async function checkSquashes(): Promise<void> {
  const described = files('squashes').filter((name) => name.endsWith('.json'));
  expect(files('squashes')).toEqual(described.flatMap((name) => [name.replace('.json', ''), name]));
  await prepared(await squashed());
  const replica = path.join(home, 'behind-copy.sqlite');
  cpSync(behind, replica);
  await pull(replica);
  expect(rowsIn(replica)).toEqual(rowsAfter(HELD));
  expect(files('squashes')).toHaveLength(2);
}

/** Two transactions in one batch. */
const BATCH: BatchLine[] = [['s', 1, ITEM], ...transaction(HELD + 1), ...transaction(HELD + 2)];

const WORKS: Work[] = [
  {
    name: 'writes a batch',
    module: 'writer-worker.ts',
    steps: /./,
    cause: () => send(BATCH),
    check: async () => {
      const held = (await status()).head?.seq;
      // The two transactions that end in the batch are committed together (F5).
      expect([HELD, HELD + 2]).toContain(held);
      await send(BATCH);
      expect((await status()).head?.seq).toBe(HELD + 2);
      const replica = path.join(home, 'behind-copy.sqlite');
      cpSync(behind, replica);
      await pull(replica);
      expect(rowsIn(replica)).toEqual(rowsAfter(HELD + 2));
    },
  },
  {
    name: 'builds a snapshot',
    module: 'snapshot-worker.ts',
    steps: /./,
    cause: () => prepared(PATHS.snapshot('shop')),
    check: checkSnapshots,
  },
  {
    name: 'puts a snapshot in place',
    module: 'main.ts',
    steps: /building-|\.sqlite\.(gzip|zstd|json)/,
    cause: () => prepared(PATHS.snapshot('shop')),
    check: checkSnapshots,
  },
  {
    name: 'compacts pages',
    module: 'compaction-worker.ts',
    steps: /./,
    cause: async () => prepared(await squashed()),
    check: checkSquashes,
  },
  {
    name: 'puts compacted pages in place',
    module: 'main.ts',
    steps: /building$|-n(\.json(\.part)?)? #/,
    cause: async () => prepared(await squashed()),
    check: checkSquashes,
  },
];

describe.each(WORKS)('a relay that $name', ({ module, steps: own, cause, check }) => {
  test('loses and repeats nothing when it is killed at any step', { timeout: EVERY_TEST_MS }, async () => {
    restore();
    rmSync(log(), { force: true });
    const rehearsal = await startRelay(environmentOf({ module, at: null, log: log() }));
    await cause();
    await rehearsal.stop('SIGKILL');
    const steps = killPointsIn(log()).filter((step) => own.test(step));
    expect(steps.length).toBeGreaterThan(1);
    let killed = 0;
    for (const at of steps) {
      restore();
      const relay = await startRelay(environmentOf({ module, at, log: log() }));
      await cause().catch(() => {
        killed++;
      });
      await relay.stop('SIGKILL');
      const next = await startRelay();
      try {
        await check().catch((error: unknown) => {
          throw new Error(`${at}: ${next.stdout.slice(-2000)}`, { cause: error });
        });
      } finally {
        await next.stop('SIGTERM');
      }
    }
    // SQLite's settings at the start of a thread are steps that do not end a request.
    expect(killed).toBeGreaterThan(steps.length * 0.7);
  });
});

test('a token command that is killed at any step leaves the old or the new file', {
  timeout: EVERY_TEST_MS,
}, async () => {
  const add = (env: NodeJS.ProcessEnv = {}) => {
    const options = ['--role', 'terminal', '--feed', 'shop', '--name', 'branch-9'];
    return run('relay', ['token', 'add', '--config', path.join(folder(), 'relay.yaml'), ...options], env);
  };
  const holders = () => {
    const { tokens } = JSON.parse(readFileSync(path.join(folder(), 'relay.tokens.json'), 'utf8')) as {
      tokens: { name: string }[];
    };
    return tokens.map(({ name }) => name);
  };
  restore();
  rmSync(log(), { force: true });
  expect(await add(environmentOf({ module: 'main.ts', at: null, log: log() }))).toMatchObject({ code: 0 });
  const steps = killPointsIn(log());
  expect(steps.length).toBeGreaterThan(3);
  for (const at of steps) {
    restore();
    expect(await add(environmentOf({ module: 'main.ts', at, log: log() })), at).toMatchObject({ signal: 'SIGKILL' });
    const after = holders();
    expect(
      [
        ['feed', 'terminal'],
        ['feed', 'terminal', 'branch-9'],
      ],
      at,
    ).toContainEqual(after);
    // The name is taken if the killed command has written the file.
    expect((await add()).code, at).toBe(after.includes('branch-9') ? 2 : 0);
    expect(holders(), at).toEqual(['feed', 'terminal', 'branch-9']);
    expect(
      readdirSync(folder()).filter((name) => name.startsWith('relay.tokens')),
      at,
    ).toEqual(['relay.tokens.json']);
  }
});
