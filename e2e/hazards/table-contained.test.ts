import { rmSync } from 'node:fs';
import path from 'node:path';
import type { BatchLine } from '@tidemark/protocol/lines';
import type { TableSchema } from '@tidemark/protocol/schema';
import { Branch } from '@tidemark/testing/branch';
import { ITEM, TestRelay } from '@tidemark/testing/test-relay';
import Database from 'better-sqlite3';
import { afterEach, describe, expect, test } from 'vitest';

/** One table whose data or filter is wrong at the relay, and tables that are set aside. */

const cleanup: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of cleanup.splice(0).reverse()) await stop();
});

const AS_OF = '2026-11-23T08:00:00.000000Z';
const OTHER: TableSchema = { ...ITEM, name: 'other' };
const KEYLESS: TableSchema = {
  name: 'keyless',
  columns: ['rowid', '_rowid_', 'oid'].map((name) => ({ name, type: 'integer', source: 'bigint' })),
  key: [],
};
const WITHOUT: TableSchema = { ...ITEM, columns: ITEM.columns.slice(0, 1) };
const named = (schema: TableSchema, name: string) => ({ ...schema, name }) as TableSchema;

describe('batch-of-one-bad-table: the refusal names the table, and the other tables continue', () => {
  const FILTERED = '{ tables: { item: { where: { name: $branch } } } }';
  test.each<[string, string, string, BatchLine[]]>([
    [
      'a filter that no longer matches',
      'filter_invalid',
      'item',
      [
        ['s', 5, WITHOUT],
        ['a', 5, 1, ['id']],
      ],
    ],
    ['a value of the wrong type', 'batch_invalid', 'item', [['i', 1, [['no number', 'a']]]]],
    ['a row with too few values', 'batch_invalid', 'item', [['i', 1, [[7]]]]],
    ['a value that no scope can have', 'batch_invalid', 'item', [['i', 1, [[7, '\ud800']]]]],
    ['an update of a row that the relay does not hold', 'batch_invalid', 'item', [['p', 1, [[null, [0], [99]]]]]],
    ['an id with another schema', 'batch_invalid', 'item', [['s', 1, WITHOUT]]],
    [
      'an alteration of a table that is not here',
      'batch_invalid',
      'item',
      [
        ['s', 5, ITEM],
        ['a', 5, 4, ['id', 'name']],
      ],
    ],
    [
      'a keyless table with every name of the rowid',
      'batch_invalid',
      'keyless',
      [
        ['s', 5, KEYLESS],
        ['i', 5, [[1, 2, 3]]],
      ],
    ],
    [
      'a load of such a table',
      'batch_invalid',
      'keyless',
      [
        ['s', 5, KEYLESS],
        ['L', 5, null, [null, null, null]],
        ['E', 5],
      ],
    ],
    ['a reserved name', 'batch_invalid', 'tidemark_x', [['s', 5, named(ITEM, 'tidemark_x')]]],
  ])('%s', async (_, code, table, lines) => {
    const relay = await TestRelay.start(FILTERED, { seven: { branch: 'a' } });
    cleanup.push(() => relay.stop());
    await relay.session();
    await relay.baseOf([
      ['s', 1, ITEM],
      ['s', 2, OTHER],
      ['i', 1, [[1, 'a']]],
    ]);
    await expect(relay.transaction(lines)).rejects.toMatchObject({ code, params: { table } });
    await relay.session();
    await relay.transaction([['i', 2, [[1, 'b']]]]);
  });

  test('a table of a later base copy', async () => {
    const relay = await TestRelay.start();
    cleanup.push(() => relay.stop());
    await relay.base(1);
    await relay.session();
    const bad = relay.baseOf([
      ['s', 1, ITEM],
      ['s', 5, KEYLESS],
      ['i', 1, [[1, 'item 1']]],
    ]);
    await expect(bad).rejects.toMatchObject({ code: 'batch_invalid', params: { table: 'keyless' } });
  });
});

describe('F17: the mark of a table', () => {
  const FEED = '{ tables: { item: { columns: [id, name], indexes: [[name]] }, wide: { columns: [id, name] } } }';
  const WIDE: TableSchema = {
    ...named(ITEM, 'wide'),
    columns: [...ITEM.columns, { name: 'secret', type: 'text', source: 'text' }],
  };
  const marked = (schema: TableSchema): TableSchema => ({ ...schema, setAside: { reason: 'no_key', asOf: AS_OF } });
  const ROWS = 50_000;

  /** Returns the first page of a table's rows in a database. It changes when the table is copied. */
  const rootOf = (file: string, table: string): unknown => {
    const db = new Database(file, { readonly: true });
    try {
      return db.prepare('SELECT rootpage FROM sqlite_schema WHERE name = ?').pluck().get(table);
    } finally {
      db.close();
    }
  };
  const marks = (branch: Branch) =>
    branch.all('SELECT name, set_aside, reason, as_of FROM tidemark_table_status ORDER BY name');

  async function world(): Promise<Branch> {
    const branch = await Branch.start(FEED, {});
    cleanup.push(() => branch.stop());
    const rows = Array.from({ length: ROWS }, (_, id): [number, string] => [id, `item ${id}`]);
    const inserts = Array.from(
      { length: ROWS / 500 },
      (_, n): BatchLine => ['i', 1, rows.slice(n * 500, n * 500 + 500)],
    );
    await branch.relay.session();
    await branch.relay.baseOf([['s', 1, ITEM], ['s', 2, WIDE], ...inserts, ['i', 2, [[1, 'a', 'x']]]]);
    await branch.synced();
    return branch;
  }

  const setAside = ({ relay }: Branch) =>
    relay.transaction([
      ['s', 3, marked(ITEM)],
      ['a', 3, 1, ['id', 'name']],
      ['s', 4, marked(WIDE)],
      ['a', 4, 2, ['id', 'name', 'secret']],
    ]);

  test('a mark copies no table at relay and terminal, and compares as equal', async () => {
    const branch = await world();
    const mirror = path.join(branch.relay.folder, 'relay-data/shop/feed.sqlite');
    const before = [
      rootOf(mirror, 'item'),
      rootOf(branch.database, 'item'),
      rootOf(mirror, 'wide'),
      rootOf(branch.database, 'wide'),
    ];
    await setAside(branch);
    expect((await branch.run('now')).fault).toBeNull();
    expect(marks(branch)).toEqual([
      ['item', 1, 'no_key', AS_OF],
      ['wide', 1, 'no_key', AS_OF],
    ]);
    expect([
      rootOf(mirror, 'item'),
      rootOf(branch.database, 'item'),
      rootOf(mirror, 'wide'),
      rootOf(branch.database, 'wide'),
    ]).toEqual(before);
    const verified = await branch.run('verify', { giveUpAfterMs: 240_000 });
    expect(verified).toMatchObject({ outcome: 'done', differences: [] });
  });

  test('F21: a base copy that declares a table as set aside keeps its rows, and the mark goes with the next one', async () => {
    const branch = await world();
    const { relay } = branch;
    await relay.session();
    await relay.baseOf([
      ['s', 3, marked(ITEM)],
      ['s', 2, WIDE],
      ['i', 2, [[2, 'b', 'x']]],
    ]);
    const { item, wide } = await branch.synced();
    expect([item?.length, wide]).toEqual([ROWS, [[2, 'b']]]);
    expect(marks(branch).map(String)).toEqual([`item,1,no_key,${AS_OF}`, 'wide,0,,']);
    // A second such base copy with the same mark changes nothing.
    await relay.session();
    await relay.baseOf([
      ['s', 3, marked(ITEM)],
      ['s', 2, WIDE],
      ['i', 2, [[2, 'b', 'x']]],
    ]);
    expect((await branch.run('now')).outcome).toBe('nothing-new');
    await relay.session();
    await relay.baseOf([
      ['s', 5, ITEM],
      ['i', 5, [[1, 'only']]],
      ['s', 2, WIDE],
    ]);
    expect(await branch.synced()).toEqual({ item: [[1, 'only']], wide: [] });
    expect(marks(branch).map(String)).toEqual(['item,0,,', 'wide,0,,']);
  });

  test.each<[string, (relay: TestRelay) => Promise<void>]>([
    ['in the first base copy', (relay) => relay.baseOf([['s', 1, marked(ITEM)]])],
    [
      'that the mirror does not hold',
      async (relay) =>
        relay
          .base(1)
          .then(() => relay.session())
          .then(() => relay.baseOf([['s', 9, marked(WIDE)]])),
    ],
    [
      'with rows',
      async (relay) =>
        relay
          .base(1)
          .then(() => relay.session())
          .then(() =>
            relay.baseOf([
              ['s', 9, marked(ITEM)],
              ['i', 9, [[1, 'a']]],
            ]),
          ),
    ],
    [
      'with other columns',
      async (relay) =>
        relay
          .base(1)
          .then(() => relay.session())
          .then(() => relay.baseOf([['s', 9, marked(WITHOUT)]])),
    ],
  ])('F21: refuses a marked table %s', async (_, send) => {
    const relay = await TestRelay.start();
    cleanup.push(() => relay.stop());
    await relay.session();
    await expect(send(relay)).rejects.toMatchObject({ code: 'batch_invalid', params: { table: expect.any(String) } });
  });

  test('F21: a base copy and a load discard the rows of a table whose copy failed', async () => {
    const branch = await world();
    const { relay } = branch;
    await relay.session();
    await relay.baseOf([
      ['s', 1, ITEM],
      ['i', 1, [[1, 'partly copied']]],
      ['x', 'item'],
      ['s', 3, marked(ITEM)],
      ['s', 2, WIDE],
      ['i', 2, [[2, 'b', 'x']]],
    ]);
    const { item, wide } = await branch.synced();
    expect([item?.length, wide]).toEqual([ROWS, [[2, 'b']]]);
    expect(marks(branch).map(String)).toEqual([`item,1,no_key,${AS_OF}`, 'wide,0,,']);
    await relay.transaction([
      ['L', 2, 2, ['id', 'name', 'secret']],
      ['i', 2, [[3, 'partly copied', 'x']]],
      ['x', 'wide'],
      ['s', 4, marked(WIDE)],
      ['a', 4, 2, ['id', 'name', 'secret']],
    ]);
    expect((await branch.synced()).wide).toEqual([[2, 'b']]);
    expect(marks(branch).map(String)).toEqual([`item,1,no_key,${AS_OF}`, `wide,1,no_key,${AS_OF}`]);
    await relay.session();
    await relay.baseOf([
      ['s', 5, ITEM],
      ['i', 5, [[1, 'only']]],
      ['s', 2, WIDE],
      ['i', 2, [[3, 'c', 'x']]],
      ['x', 'wide'],
    ]);
    expect(await branch.synced()).toEqual({ item: [[1, 'only']] });
  });

  test('F21: the first base copy leaves out a table whose copy failed', async () => {
    const relay = await TestRelay.start();
    cleanup.push(() => relay.stop());
    await relay.session();
    await relay.baseOf([
      ['s', 1, ITEM],
      ['i', 1, [[1, 'partly copied']]],
      ['x', 'item'],
      ['s', 2, OTHER],
      ['i', 2, [[1, 'a']]],
    ]);
    const { tables } = await relay.link.session({
      protocol: 1,
      source: { kind: 'postgres', id: 'test' },
      version: 'test',
    });
    expect(tables.map(({ schema }) => schema.name)).toEqual(['other']);
    await relay.session();
    const unknown = relay.baseOf([
      ['s', 2, OTHER],
      ['x', 'item'],
    ]);
    await expect(unknown).rejects.toMatchObject({ code: 'batch_invalid' });
  });

  test('a fresh copy, another copy after a restart of the relay, and a re-read carry the mark and its end', async () => {
    const branch = await world();
    await setAside(branch);
    await branch.relay.restart(FEED, Date.now());
    branch.faultProxy.forwardTo(branch.relay.url);
    for (const suffix of ['', '-wal', '-shm']) rmSync(branch.database + suffix, { force: true });
    await branch.synced();
    expect(marks(branch).map(String)).toEqual([`item,1,no_key,${AS_OF}`, `wide,1,no_key,${AS_OF}`]);
    await branch.relay.session();
    // The feed re-reads a table whose trouble has ended.
    await branch.relay.transaction([
      ['s', 6, WIDE],
      ['L', 6, 4, ['id', 'name', 'secret']],
      ['i', 6, [[1, 'b', 'x']]],
      ['E', 6],
    ]);
    expect((await branch.synced()).wide).toEqual([[1, 'b']]);
    expect(marks(branch)).toEqual([
      ['item', 1, 'no_key', AS_OF],
      ['wide', 0, null, null],
    ]);
  });
});
