import { copyFileSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { RelayStatus } from '@tidemark/protocol/api';
import type { ChangeLine, WireRow } from '@tidemark/protocol/lines';
import { PATHS } from '@tidemark/protocol/paths';
import type { Mode } from '@tidemark/protocol/run';
import type { TableSchema } from '@tidemark/protocol/schema';
import { verifyPage } from '@tidemark/replica/page-reader';
import { Replica } from '@tidemark/replica/replica';
import { agentRun } from '@tidemark/testing/agent-run';
import { FaultProxy } from '@tidemark/testing/fault-proxy';
import { KeyedWorkload, text } from '@tidemark/testing/keyed-workload';
import { start, until } from '@tidemark/testing/processes';
import { Random } from '@tidemark/testing/random';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import { batchOf, ITEM, position, TestRelay } from '@tidemark/testing/test-relay';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const STOCK: TableSchema = {
  name: 'stock',
  columns: [
    { name: 'branch', type: 'text', source: 'text' },
    { name: 'product', type: 'integer', source: 'bigint' },
    { name: 'price', type: 'numeric', source: 'numeric(12,2)' },
    { name: 'note', type: 'text', source: 'text' },
  ],
  key: ['branch', 'product'],
};
const VISIT: TableSchema = { ...ITEM, name: 'visit' };
const LOG: TableSchema = { ...ITEM, name: 'log', key: [] };
const SCHEMAS: Record<number, TableSchema> = { 1: ITEM, 2: STOCK, 3: VISIT, 4: LOG };
/** From 1 s to 30 s, after the place in the queue and the recent duration of builds (B11). */
const RETRY_AFTER = /^([1-9]|[12]\d|30)$/;
const DAY = 86_400_000;
/** Commit time of the transactions, one day ago. */
const STARTED = Date.now() - DAY;

let relay: TestRelay;
let faultProxy: FaultProxy;
let folder: string;
let at: number;
beforeEach(async () => {
  relay = await TestRelay.start();
  faultProxy = await FaultProxy.start(relay.url);
  folder = temporaryFolder('compaction');
  at = 1000;
});
afterEach(async () => {
  await faultProxy.stop();
  await relay.stop();
  rmSync(folder, { recursive: true, force: true });
});

const database = (name = 'branch') => path.join(folder, `${name}.sqlite`);

/** Commits a transaction with these lines, divided into lines of the size that a feed writes. */
async function commit(lines: ChangeLine[], schemas = SCHEMAS): Promise<void> {
  const declared = Object.entries(schemas).map(([id, schema]) => ['s', Number(id), schema]);
  const cut = lines.flatMap((line): ChangeLine[] => {
    if (line[0] !== 'i' && line[0] !== 'u' && line[0] !== 'd') return [line];
    const [kind, id, rows] = line;
    return Array.from({ length: Math.ceil(rows.length / 20) }, (_, i) => [kind, id, rows.slice(i * 20, i * 20 + 20)]);
  });
  const changes = cut.reduce((sum, line) => sum + (Array.isArray(line[2]) ? line[2].length : 1), 0);
  const committedAt = new Date(STARTED + at * 1000).toISOString().replace('Z', '000Z');
  await relay.send(batchOf([...declared, ['b', position(++at), committedAt], ...cut, ['c', changes]]));
}

/** Runs the agent once. It gives up at its first failure. */
const pull = (name = 'branch', mode: Mode = 'now') =>
  agentRun({ relayUrl: faultProxy.url, token: relay.token('terminal'), database: database(name), mode });

async function head(): Promise<{ epoch: string; seq: number }> {
  const { head } = RelayStatus.parse(await (await relay.get('/v1/feeds/shop/status')).json());
  if (!head) throw new Error('the relay has no data');
  return head;
}

/** Returns the relay's plan for a terminal at a seq. */
async function planAt(seq: number): Promise<RelayStatus['plan']> {
  const { epoch } = await head();
  const answer = await relay.get(`/v1/feeds/shop/status?epoch=${epoch}&seq=${seq}`);
  return RelayStatus.parse(await answer.json()).plan;
}

/** Waits for the relay to build a compacted page. Returns the page, or the code of a refusal. */
async function compacted(start: string, target: number): Promise<Buffer | string> {
  const { epoch } = await head();
  return until(
    async () => {
      const answer = await relay.get(PATHS.squashed('shop', epoch, 'all', start, target), relay.token('terminal'), {
        'accept-encoding': 'identity',
      });
      if (answer.ok) return Buffer.from(await answer.arrayBuffer());
      const { code } = (await answer.json()) as { code: string };
      if (code === 'squash_building') expect(answer.headers.get('retry-after')).toMatch(RETRY_AFTER);
      return code === 'squash_building' ? false : code;
    },
    () => 'the relay did not build the compacted pages',
  );
}

async function page(start: string, target: number): Promise<Buffer> {
  const found = await compacted(start, target);
  if (typeof found === 'string') throw new Error(found);
  return found;
}

const nextOf = (bytes: Buffer) => verifyPage(bytes).trailer.next;

/** Fetches all compacted pages from one seq to another. */
async function allCompacted(from: number, target: number): Promise<Buffer[]> {
  const pages = [await page(String(from), target)];
  for (;;) {
    const next = nextOf(pages.at(-1) ?? Buffer.alloc(0));
    if (next.part === 0) return pages;
    pages.push(await page(`${next.seq}.${next.part}`, target));
  }
}

/** Applies ordinary pages to a replica up to the target. Returns their size in bytes. */
async function replay(name: string, target: number): Promise<number> {
  const { epoch } = await head();
  const replica = Replica.open(database(name), 'shop');
  try {
    let bytes = 0;
    for (let { start } = replica.cursorState(); start.seq < target; { start } = replica.cursorState()) {
      const from = start.part === 0 ? String(start.seq) : `${start.seq}.${start.part}`;
      const next = await relay.page(epoch, from, target);
      bytes += next.length;
      replica.applyPage(verifyPage(next));
    }
    return bytes;
  } finally {
    replica.close();
  }
}

/** Returns the complete content of a replica, except its history. */
function contents(name = 'branch'): Record<string, unknown[]> {
  const db = new Database(database(name), { readonly: true });
  try {
    const tables = db.prepare('SELECT id, name, schema, rows FROM tidemark_table ORDER BY name').all() as {
      name: string;
      rows: number;
    }[];
    const meta = db.prepare('SELECT epoch, seq, part, squashed, committed_at FROM tidemark_meta').all();
    const spool = db.prepare('SELECT count(*) AS n FROM tidemark_spool').all();
    return Object.fromEntries([
      ['tables', tables],
      ['meta', meta],
      ['spool', spool],
      ...tables.map((table): [string, unknown[]] => {
        const rows = db.prepare(`SELECT * FROM "${table.name}" ORDER BY 1, 2`).safeIntegers().raw().all();
        expect(rows).toHaveLength(table.rows);
        return [table.name, rows];
      }),
    ]);
  } finally {
    db.close();
  }
}

const standing = (name = 'branch') => {
  const [meta] = contents(name).meta ?? [];
  return meta as { seq: number; part: number };
};
const seqHere = (name = 'branch') => standing(name).seq;
const partHere = (name = 'branch') => standing(name).part;
const askedFor = (what: 'pages' | 'squashed') => faultProxy.requestedPaths.filter((url) => url.includes(`/${what}/`));

/** Syncs a terminal with a base copy of `rows` long items. */
async function syncTerminal(rows: number): Promise<void> {
  const random = new Random(rows);
  await relay.base(rows, () => text(random));
  await until(
    async () => (await pull()).outcome === 'done' || seqHere() > 0,
    () => 'the first snapshot did not arrive',
  );
  faultProxy.requestedPaths.length = 0;
}

/** Updates the first `rows` items `times` times, each time in one transaction. */
async function commitUpdates(rows: number, times: number, random = new Random(7)): Promise<void> {
  for (let n = 0; n < times; n++)
    await commit([['u', 1, Array.from({ length: rows }, (_, i): WireRow => [i + 1, text(random)])]]);
}

describe('the result', () => {
  test.each([1, 2, 3, 4])(
    'Q1 compaction-equals-replay: compacted pages lead to the same replica as ordinary pages (seed %i)',
    async (seed) => {
      await syncTerminal(8000);
      const workload = new KeyedWorkload(new Random(seed));
      for (let n = 0; n < 30; n++) await commit(workload.transaction());
      await pull();
      const from = seqHere();
      copyFileSync(database(), database('replayed'));
      faultProxy.requestedPaths.length = 0;
      for (let n = 0; n < 150; n++) await commit(workload.transaction());
      const target = (await head()).seq;
      expect(await planAt(from)).toMatchObject({ by: 'pages', squashed: true });
      expect(await pull()).toMatchObject({ outcome: 'done', to: { seq: target }, left: 0 });
      expect(askedFor('pages')).toEqual([]);
      expect(askedFor('squashed').length).toBeGreaterThan(0);
      const bytes = await replay('replayed', target);
      expect(contents()).toEqual(contents('replayed'));
      const pages = await allCompacted(from, target);
      expect(pages.reduce((sum, each) => sum + each.length, 0)).toBeLessThan(bytes * 0.8);
      expectEachKeyOnce(pages);
    },
  );

  test('Q2 omits a row that was inserted and deleted, but still creates its table', async () => {
    await syncTerminal(6000);
    copyFileSync(database(), database('replayed'));
    const random = new Random(1);
    for (let n = 0; n < 8; n++) {
      const rows = Array.from({ length: 150 }, (_, i): WireRow => ['b', i, n, text(random)]);
      await commit([['i', 2, rows]]);
      await commit([['d', 2, rows.map((row) => row.slice(0, 2))]]);
    }
    expect(await pull()).toMatchObject({ outcome: 'done', inserted: 0, deleted: 0 });
    expect(askedFor('squashed')).not.toEqual([]);
    expect(askedFor('pages')).toEqual([]);
    await replay('replayed', (await head()).seq);
    expect(contents()).toEqual(contents('replayed'));
    expect(contents().stock).toEqual([]);
  });

  test('Q2 sends ordinary pages when each row changed only once, and when a table was replaced', async () => {
    await syncTerminal(6000);
    await commitUpdates(1000, 1);
    await commit([['u', 1, Array.from({ length: 500 }, (_, i) => [2000 + i, text(new Random(i))])]]);
    expect(await planAt(1)).toMatchObject({ by: 'pages', squashed: true });
    expect(await compacted('1', 3)).toBe('squash_larger');
    // The relay no longer offers compaction, and does not build pages for a terminal that holds an older offer.
    expect(await planAt(1)).toMatchObject({ by: 'pages', squashed: false });
    expect(await pull()).toMatchObject({ outcome: 'done', updated: 1500, retries: 0 });
    expect(askedFor('squashed')).toEqual([]);
    expect(askedFor('pages')).not.toEqual([]);
    await commitUpdates(1200, 1);
    await commit([['u', 1, Array.from({ length: 300 }, (_, i) => [3000 + i, text(new Random(i))])]]);
    faultProxy.requestedPaths.length = 0;
    expect(await pull()).toMatchObject({ outcome: 'done', updated: 1500, retries: 0 });
    expect(askedFor('squashed')).not.toEqual([]);
    expect(askedFor('pages')).not.toEqual([]);
    await commitUpdates(500, 4);
    await commit([['i', 3, [[1, 'x']]]]);
    const wider = { ...VISIT, columns: [...VISIT.columns, { name: 'more', type: 'text' as const, source: 'text' }] };
    await commit(
      [
        ['r', 9],
        ['i', 9, [[1, 'x', null]]],
      ],
      { 9: wider },
    );
    expect(await compacted('5', (await head()).seq)).toBe('squash_larger');
    // The terminal uses ordinary pages, or a snapshot if that is smaller.
    expect(await pull()).toMatchObject({ outcome: 'done' });
    expect(contents().visit).toEqual([[1n, 'x', null]]);
  });

  test('Q2 requests ordinary pages for a small backlog, and for a pull of one transaction', async () => {
    await syncTerminal(6000);
    await commitUpdates(10, 3);
    expect(await planAt(1)).toMatchObject({ by: 'pages', squashed: false });
    await commitUpdates(400, 5);
    expect(await planAt(1)).toMatchObject({ by: 'pages', squashed: true });
    await pull('branch', 'one');
    expect(seqHere()).toBe(2);
    expect(askedFor('squashed')).toEqual([]);
  });
});

/** Fails if a key occurs twice in the pages. */
function expectEachKeyOnce(pages: Buffer[]): void {
  const seen = new Set<string>();
  for (const line of pages.flatMap((each) => each.toString().trimEnd().split('\n').slice(1, -1))) {
    const [kind, id, rows] = JSON.parse(line) as [string, number, WireRow[]];
    if ((kind !== 'i' && kind !== 'u' && kind !== 'd') || SCHEMAS[id]?.key.length === 0) continue;
    for (const row of rows) {
      const key = `${id} ${JSON.stringify(row.slice(0, SCHEMAS[id]?.key.length))}`;
      expect(seen.has(key)).toBe(false);
      seen.add(key);
    }
  }
  expect(seen.size).toBeGreaterThan(0);
}

describe('an interrupted pull', () => {
  /** Creates a backlog of four pages in which each row changes twice. Returns the head. */
  async function createBacklog(): Promise<number> {
    await syncTerminal(12_000);
    copyFileSync(database(), database('replayed'));
    await commitUpdates(3000, 2);
    return (await head()).seq;
  }

  /** Deletes the compacted pages that the relay has built, and restarts it. */
  async function restart(feed = '{}', now = STARTED): Promise<void> {
    const squashes = path.join(relay.folder, 'relay-data/shop/squashes');
    expect(readdirSync(squashes).length).toBeGreaterThan(0);
    rmSync(squashes, { recursive: true });
    await relay.restart(feed, now);
    faultProxy.forwardTo(relay.url);
    await relay.session();
  }

  test('Q3 killed-mid-compaction: resumes after terminal and relay restart and reaches the same result', async () => {
    const target = await createBacklog();
    const pages = await allCompacted(1, target);
    expect(pages.length).toBeGreaterThan(3);
    const before = contents().item;
    faultProxy.trouble = { kind: 'slow', bytesPerSecond: 3_000_000 };
    const args = ['pull', '--relay', faultProxy.url, '--feed', 'shop', '--token-file', relay.tokenFile('terminal')];
    const killed = start('terminal', [...args, '--db', database()]);
    await until(
      async () => partHere() >= 2,
      () => `the terminal spooled no compacted page: ${killed.stderr}`,
    );
    await killed.stop('SIGKILL');
    const held = partHere();
    expect(held).toBeLessThan(pages.length);
    expect(contents().item).toEqual(before);
    await restart();
    expect(await allCompacted(1, target)).toEqual(pages);
    // The terminal pulls later changes after the compacted transaction.
    await commitUpdates(5, 1);
    faultProxy.trouble = { kind: 'none' };
    faultProxy.requestedPaths.length = 0;
    expect(await pull()).toMatchObject({ outcome: 'done', from: { seq: 1 }, to: { seq: target + 1 } });
    expect(askedFor('squashed')[0]).toContain(`/1.${held}/${target}`);
    expect(new Set(askedFor('squashed')).size).toBe(pages.length - held);
    await replay('replayed', target + 1);
    expect(contents()).toEqual(contents('replayed'));
  });

  test('Q3 rejects an ordinary page in place of a compacted one, and the reverse, and leaves the replica unchanged', async () => {
    const target = await createBacklog();
    const pages = await allCompacted(1, target);
    const { epoch } = await head();
    const replica = Replica.open(database(), 'shop');
    try {
      const refused = (bytes: Buffer, kind: { compacted?: boolean }) => {
        const before = replica.cursorState();
        expect(() => replica.applyPage(verifyPage(bytes), kind)).toThrowError(
          expect.objectContaining({ code: 'page_out_of_order' }),
        );
        expect(replica.cursorState()).toEqual(before);
      };
      replica.applyPage(verifyPage(pages[0] ?? Buffer.alloc(0)), { compacted: true });
      expect(replica.spool.compactionTarget()).toBe(target);
      refused(await relay.page(epoch, '1.1', target), { compacted: false });
      const [, second] = await allCompacted(1, target);
      refused(second ?? Buffer.alloc(0), { compacted: false });
      replica.spool.discard();
      const ordinary = await relay.page(epoch, '1', target);
      expect(replica.applyPage(verifyPage(ordinary)).start.part).toBeGreaterThan(0);
      expect(replica.spool.compactionTarget()).toBeNull();
      const { start } = replica.cursorState();
      for (const each of pages)
        if (JSON.parse(each.toString().split('\n')[0] ?? '').start.part === start.part)
          refused(each, { compacted: true });
    } finally {
      replica.close();
    }
    // The next pull resumes with ordinary pages after the spooled ones.
    expect((await pull()).outcome).toBe('done');
    expect(askedFor('squashed')).toEqual([]);
    await replay('replayed', target);
    expect(contents()).toEqual(contents('replayed'));
  });

  test('Q3 a pull of one transaction discards the spooled compacted pages', async () => {
    const target = await createBacklog();
    const replica = Replica.open(database(), 'shop');
    replica.applyPage(verifyPage(await page('1', target)), { compacted: true });
    replica.close();
    expect(await pull('branch', 'one')).toMatchObject({ outcome: 'done', to: { seq: 2 } });
    await replay('replayed', 2);
    expect(contents()).toEqual(contents('replayed'));
  });

  test('Q3 horizon-passed: discards the spooled pages and follows the plan', async () => {
    const target = await createBacklog();
    const replica = Replica.open(database(), 'shop');
    replica.applyPage(verifyPage(await page('1', target)), { compacted: true });
    replica.close();
    await restart('{ retention: { days: 1 } }', STARTED + 10 * DAY);
    expect(await planAt(1)).toMatchObject({ by: 'snapshot', reason: 'behind_horizon' });
    expect(await compacted('1', target)).toBe('behind_horizon');
    await until(
      async () => (await pull()).outcome === 'done',
      () => 'the snapshot did not arrive',
    );
    expect(seqHere()).toBe(target);
    expect(contents().spool).toEqual([{ n: 0 }]);
    expect(contents().meta).toMatchObject([{ part: 0, squashed: null }]);
  });
});

test('Q4 serves built pages to other terminals with the same range, even after a restart', async () => {
  await syncTerminal(6000);
  await commitUpdates(300, 4);
  const first = await page('1', 5);
  const built = path.join(relay.folder, 'relay-data/shop/squashes');
  const files = readdirSync(built).sort();
  expect(files).toHaveLength(2);
  await relay.restart('{}', STARTED);
  const { epoch } = await head();
  const answer = await relay.get(PATHS.squashed('shop', epoch, 'all', '1', 5));
  expect(answer.status).toBe(200);
  expect(Buffer.from(await answer.arrayBuffer())).toEqual(first);
  expect(answer.headers.get('tidemark-squashed')).toBe(`300 ${first.length}`);
  expect(readdirSync(built).sort()).toEqual(files);
  for (const [start, code] of [
    ['1.7', 'request_invalid'],
    ['9', 'cursor_ahead'],
    ['0', 'behind_horizon'],
  ] as const)
    expect(await compacted(start, 5)).toBe(code);
  expect(await compacted('1', 6)).toBe('target_invalid');
});

test('Q2 refused-for-one-target: compaction that is refused for one target is offered for the next one', async () => {
  await syncTerminal(6000);
  await commitUpdates(1000, 1);
  await commit([['u', 1, Array.from({ length: 500 }, (_, i) => [2000 + i, text(new Random(i))])]]);
  expect(await compacted('1', 3)).toBe('squash_larger');
  expect(await planAt(1)).toMatchObject({ by: 'pages', squashed: false });
  await commitUpdates(1000, 3);
  expect(await planAt(1)).toMatchObject({ by: 'pages', squashed: true });
  expect(await compacted('1', 6)).toBeInstanceOf(Buffer);
});

test('B10 B11 hostile-key: one key that asks for every range is refused beyond its share, and another key is served', async () => {
  await relay.stop();
  relay = await TestRelay.start('{}', { hostile: {} });
  faultProxy.forwardTo(relay.url);
  await syncTerminal(3000);
  await commitUpdates(400, 24);
  const { epoch, seq: target } = await head();
  const ask = async (from: number, key: string) => {
    const answer = await relay.get(PATHS.squashed('shop', epoch, 'all', String(from), target), relay.token(key));
    const said = answer.ok ? 'ready' : ((await answer.json()) as { code: string }).code;
    if (answer.status === 503) expect(answer.headers.get('retry-after')).toMatch(RETRY_AFTER);
    return said;
  };
  const starts = Array.from({ length: 20 }, (_, i) => i + 2);
  const hostile = await Promise.all(starts.map((from) => ask(from, 'hostile')));
  expect(new Set(hostile)).toEqual(new Set(['squash_building', 'relay_busy']));
  expect(hostile.filter((code) => code === 'squash_building').length).toBeLessThan(12);
  expect(await compacted('1', target)).toBeInstanceOf(Buffer);
  // The hostile key gets its other ranges once its first ones are built.
  for (const from of starts.slice(-2))
    await until(
      async () => (await ask(from, 'hostile')) === 'ready',
      () => 'a refused range was never built',
    );
});
