import { rmSync } from 'node:fs';
import path from 'node:path';
import type { TransactionList } from '@tidemark/protocol/api';
import type { WireRow } from '@tidemark/protocol/lines';
import type { TableSchema } from '@tidemark/protocol/schema';
import { agentRun } from '@tidemark/testing/agent-run';
import { Random } from '@tidemark/testing/random';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import { TestRelay } from '@tidemark/testing/test-relay';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { cleanup, PRODUCT, STOCK, useCleanup } from './scopes-lab.ts';

/** Values in filters: many scopes at once, and values that the master compares as equal. */

useCleanup();

test('G1 many-scopes: a terminal with a thousand branches receives rows in order, and costs only its own rows', async () => {
  const branches = 1500;
  const mine = Array.from({ length: 1000 }, (_, i) => i + 1);
  const relay = await TestRelay.start('{ tables: { stock: { where: { branch: $branch } } } }', {
    region: { branch: mine.join(',') },
  });
  const folder = temporaryFolder('scopes');
  cleanup.push(
    () => relay.stop(),
    () => rmSync(folder, { recursive: true, force: true }),
  );
  const database = path.join(folder, 'region.sqlite');
  const pull = () => agentRun({ relayUrl: relay.url, token: relay.token('region'), database, giveUpAfterMs: 30_000 });
  const random = new Random(11);
  const stock = new Map<number, WireRow>();
  for (let sku = 1; sku <= branches; sku++) stock.set(sku, [sku, sku, 0]);
  await relay.session();
  // The table is much larger than the changes, so that pages cost less than a snapshot.
  const long = () => Array.from({ length: 40 }, () => random.next()).join(' ');
  await relay.baseOf([
    ['s', 1, STOCK],
    ['s', 2, PRODUCT],
    ['i', 1, [...stock.values()]],
    ['i', 2, Array.from({ length: 1500 }, (_, id): WireRow => [id, long()])],
  ]);
  const first = await pull();
  expect(first).toMatchObject({ fault: null, inserted: mine.length + 1500 });

  const touched: number[] = [];
  for (let n = 1; n <= 250; n++) {
    // Some transactions change every scope, and so have as many parts as there are scopes.
    const skus = n % 100 === 0 ? [...stock.keys()] : [random.int(1, branches)];
    const rows = skus.map((sku): WireRow => [sku, random.int(1, branches), n]);
    if (rows.some((row) => [row, stock.get(Number(row[0]))].some((each) => Number(each?.[1]) <= mine.length)))
      touched.push(n + 1);
    for (const row of rows) stock.set(Number(row[0]), row);
    await relay.transaction([['u', 1, rows]]);
  }
  const listed = await relay.get(
    `/v1/feeds/shop/transactions?epoch=${first.to?.epoch}&after=1&limit=500`,
    relay.token('region'),
  );
  const { transactions } = (await listed.json()) as TransactionList;
  expect(transactions.map(({ seq }) => seq)).toEqual(touched);
  expect(await pull()).toMatchObject({ fault: null, snapshot: null, to: { seq: 251 } });
  const db = new Database(database, { readonly: true });
  cleanup.push(() => db.close());
  expect(db.prepare('SELECT * FROM stock ORDER BY sku').raw().all()).toEqual(
    [...stock.values()].filter(([, branch]) => Number(branch) <= mine.length),
  );
});

test('G1 zeros-and-spaces: compares numeric(20,6) and char(5) in the same way as the master, in snapshots and increments', async () => {
  const tariff: TableSchema = {
    name: 'tariff',
    columns: [
      { name: 'id', type: 'integer', source: 'integer' },
      { name: 'rate', type: 'text', source: 'numeric(20,6)' },
      { name: 'zone', type: 'text', source: 'character(5)' },
    ],
    key: ['id'],
  };
  const filter = '{ tables: { tariff: { where: { rate: [10.5, "11.00"], zone: $zone } } } }';
  const relay = await TestRelay.start(filter, { one: { zone: 'AB' } });
  const folder = temporaryFolder('scopes');
  cleanup.push(
    () => relay.stop(),
    () => rmSync(folder, { recursive: true, force: true }),
  );
  const database = path.join(folder, 'one.sqlite');
  const held = async () => {
    expect(await agentRun({ relayUrl: relay.url, token: relay.token('one'), database })).toMatchObject({ fault: null });
    const db = new Database(database, { readonly: true });
    const ids = db.prepare('SELECT id FROM tariff ORDER BY id').pluck().all();
    db.close();
    return ids;
  };
  const rows = (from: number): WireRow[] => [
    [from, '10.500000', 'AB   '],
    [from + 1, '11.000000', 'AB   '],
    [from + 2, '10.500000', 'AC   '],
    [from + 3, '12.000000', 'AB   '],
  ];
  await relay.session();
  await relay.baseOf([
    ['s', 1, tariff],
    ['i', 1, rows(1)],
  ]);
  expect(await held()).toEqual([1, 2]);
  await relay.transaction([['i', 1, rows(11)]]);
  expect(await held()).toEqual([1, 2, 11, 12]);
  const wrong = '{ tables: { tariff: { where: { rate: ten } } } }';
  await expect(relay.restart(wrong, Date.now())).rejects.toThrow(
    'relay.yaml line 5: feeds.shop.tables.tariff.where.rate: "ten" is no value of the column rate (numeric(20,6)): write a number',
  );
  await relay.restart(filter, Date.now());
});
