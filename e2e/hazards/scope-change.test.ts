import type { BatchLine, WireRow } from '@tidemark/protocol/lines';
import type { Run } from '@tidemark/protocol/run';
import type { TableSchema } from '@tidemark/protocol/schema';
import { readConfig } from '@tidemark/relay-server/config/relay-config';
import { Tokens } from '@tidemark/relay-server/tokens/tokens';
import { Branch } from '@tidemark/testing/branch';
import Database from 'better-sqlite3';
import { afterEach, expect, test } from 'vitest';

const column = (name: string, type: TableSchema['columns'][number]['type']) => ({ name, type, source: type });
const PRODUCT: TableSchema = {
  name: 'product',
  columns: [column('id', 'integer'), column('name', 'text')],
  key: ['id'],
};
const STOCK: TableSchema = {
  name: 'stock',
  columns: [column('id', 'integer'), column('branch', 'integer'), column('amount', 'numeric'), column('kind', 'text')],
  key: ['id'],
};
const PRODUCTS = 30_000;
const STOCKS = 8_000;

const feed = (more = '', columns = '') => `
    tables:
      product: {}
      stock: { where: { branch: $branch${more} }${columns} }`;

let branch: Branch | null = null;
afterEach(() => branch?.stop());

/** Starts a relay with the rows of four branches, and syncs the replica of branch 7. */
async function synced(): Promise<Branch> {
  branch = await Branch.start(feed(), { branch: '7' });
  const lines = (id: number, rows: number, row: (n: number) => WireRow): BatchLine[] =>
    Array.from({ length: rows / 500 }, (_, i) => ['i', id, Array.from({ length: 500 }, (_, n) => row(i * 500 + n))]);
  await branch.relay.session();
  await branch.relay.baseOf([
    ['s', 1, PRODUCT],
    ['s', 2, STOCK],
    ...lines(1, PRODUCTS, (n) => [n, `product ${Math.sin(n)} ${Math.cos(n)}`]),
    ...lines(2, STOCKS, (n) => [n, 6 + (n % 4), n / 4, n % 3 === 0 ? 'a' : 'b']),
  ]);
  await branch.synced();
  return branch;
}

/** Returns the download size of the snapshot that the relay offers, in bytes. */
async function copyBytes({ relay }: Branch): Promise<number> {
  const manifest = await (await relay.get('/v1/feeds/shop/snapshot', relay.token('branch'))).json();
  return Math.min(...(manifest as { codings: { bytes: number }[] }).codings.map(({ bytes }) => bytes));
}

const branches = (at: Branch) => at.all('SELECT branch, count(*) FROM stock GROUP BY 1');
const counts = (run: Run) =>
  run.tables.map(({ name, inserted, updated, deleted }) => [name, inserted, updated, deleted]);

test('C9: after a change of attributes, fetches the rows that differ; readers see either the old or the new set', async () => {
  const at = await synced();
  await at.relay.transaction([
    ['s', 1, PRODUCT],
    ['u', 1, [[5, 'newer']]],
  ]);
  const tokens = new Tokens(readConfig(at.relay.config));
  expect(tokens.set('branch', 'shop', { set: { branch: '8,9' } })).toMatchObject({ attributes: { branch: '8,9' } });
  tokens.close();
  const reader = new Database(at.database, { readonly: true });
  const seen = reader.prepare('SELECT group_concat(DISTINCT branch) FROM stock').pluck();
  const sets = new Set<unknown>();
  const watching = setInterval(() => sets.add(seen.get()), 2);
  at.wire.bytes = 0;
  const run = await at.run('now', { giveUpAfterMs: 30_000, each: () => sets.add(seen.get()) });
  clearInterval(watching);
  sets.add(seen.get());
  reader.close();
  expect(run).toMatchObject({ outcome: 'done', fault: null, snapshot: null });
  expect(branches(at)).toEqual([
    [8, STOCKS / 4],
    [9, STOCKS / 4],
  ]);
  expect([...sets].sort()).toEqual(['7', '8,9']);
  expect(counts(run)).toEqual([
    ['product', 0, 1, 0],
    ['stock', STOCKS / 2, 0, STOCKS / 4],
  ]);
  expect(at.all('SELECT name FROM product WHERE id = 5')).toEqual([['newer']]);
  expect(at.wire.bytes).toBeLessThan((await copyBytes(at)) / 4);
  // After the change, the terminal pulls increments like any other.
  await at.relay.transaction([
    ['s', 2, STOCK],
    ['u', 2, [[2, 8, 77, 'a']]],
  ]);
  expect(await at.run('now')).toMatchObject({ outcome: 'done', updated: 1, snapshot: null });
  expect(await at.run('verify', { giveUpAfterMs: 30_000 })).toMatchObject({ outcome: 'done', differences: [] });
});

test('C9: after a change of `where` and `columns`, removes rows, re-creates that table, and keeps the other tables', async () => {
  const at = await synced();
  await at.relay.restart(feed(', kind: a'), Date.now());
  at.faultProxy.forwardTo(at.relay.url);
  const narrowed = await at.run('now', { giveUpAfterMs: 30_000 });
  expect(narrowed).toMatchObject({ outcome: 'done', snapshot: null });
  const left = (at.all('SELECT count(*) FROM stock')[0] as [number])[0];
  expect(counts(narrowed)).toEqual([['stock', 0, 0, STOCKS / 4 - left]]);
  expect(at.all('SELECT DISTINCT branch, kind FROM stock')).toEqual([[7, 'a']]);
  await at.relay.restart(feed('', ', columns: [id, amount]'), Date.now());
  at.faultProxy.forwardTo(at.relay.url);
  const projected = await at.run('now', { giveUpAfterMs: 30_000 });
  expect(projected).toMatchObject({ outcome: 'done', snapshot: null });
  expect(at.all("SELECT name FROM pragma_table_info('stock')")).toEqual([['id'], ['amount']]);
  expect(at.all('SELECT count(*), sum(amount) FROM stock')).toEqual([[STOCKS / 4, expect.any(Number)]]);
  expect(at.all('SELECT count(*) FROM product')).toEqual([[PRODUCTS]]);
  expect(await at.run('verify')).toMatchObject({ outcome: 'done', differences: [] });
});

test('C9: downloads a snapshot when the old and new sets share no rows and it costs less', async () => {
  const at = await synced();
  at.tamper('DELETE FROM product');
  const tokens = new Tokens(readConfig(at.relay.config));
  tokens.set('branch', 'shop', { set: { branch: '8' } });
  tokens.close();
  expect(await at.run('now', { giveUpAfterMs: 30_000 })).toMatchObject({ outcome: 'done', snapshot: 'scopes_changed' });
  expect(branches(at)).toEqual([[8, STOCKS / 4]]);
  expect(at.all('SELECT count(*) FROM product')).toEqual([[PRODUCTS]]);
});
