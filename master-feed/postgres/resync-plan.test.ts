import { describe, expect, test } from 'vitest';
import type { SourceTable } from './catalog.ts';
import { held } from './held-tables.ts';
import { planResync, type ResyncPlan, type Standing } from './resync-plan.ts';

interface Shape {
  oid?: number;
  /** Of the columns, all of type text, by their numbers. */
  columns?: Record<number, string>;
  version?: Partial<SourceTable['version']>;
}

function table(
  name: string,
  { oid = 1, columns = { 1: 'id', 2: 'a', 3: 'b' }, version = {} }: Shape = {},
): SourceTable {
  const listed = Object.entries(columns);
  return {
    oid,
    namespace: 'public',
    relation: name,
    name,
    kind: 'r',
    unlogged: false,
    columns: listed.map(([n, column]) => ({
      name: column,
      attnum: Number(n),
      form: 'text',
      typeOid: 25,
      modifier: -1,
    })),
    computed: [],
    key: ['id'],
    full: false,
    leaves: [],
    readable: true,
    policed: false,
    version: { shape: JSON.stringify(columns), attributes: 'a0', file: 'f0', published: 'p0', ...version },
    schema: {
      name,
      columns: listed.map(([, column]) => ({ name: column, type: 'text', source: 'text' })),
      key: ['id'],
    },
  };
}

/** What is to be done when the relay holds `before` and the master has `after`. `known`: whether it is known what the relay held. */
function plan(before: SourceTable[], after: SourceTable[], known = true, suspects: number[] = []): ResyncPlan {
  const standing: Standing = {
    relay: before.map(({ schema }, i) => ({ id: i + 1, schema })),
    nextTableId: before.length + 1,
    held: known ? before.map(held) : null,
    suspects: new Set(suspects),
  };
  return planResync(after, standing);
}

const loads = ({ loads: found }: ResyncPlan) =>
  found.map(({ id, from, columns, table: { name } }) => ({ name, id, from, columns }));

describe('F10: which tables are read anew', () => {
  test('none when all look as they did', () => {
    const both = [table('item'), table('other', { oid: 2 })];
    expect(plan(both, both)).toEqual({
      kept: [
        { id: 1, table: both[0] },
        { id: 2, table: both[1] },
      ],
      loads: [],
      gone: [],
    });
  });

  test('none when the relay stored schemas before they had logical types', () => {
    const before = table('item');
    const after = table('item');
    after.schema = { ...after.schema, columns: after.schema.columns.map((c) => ({ ...c, logical: { kind: 'text' } })) };
    expect(plan([before], [after]).kept.map(({ id }) => id)).toEqual([1]);
    expect(plan([after], [before]).loads).toEqual([]);
  });

  test('one that was rewritten, or whose types or partitions changed, though its columns are the same', () => {
    const read = (version: Partial<SourceTable['version']>) =>
      loads(plan([table('item')], [table('item', { version })])).map(({ id, from }) => [id, from]);
    expect(read({ attributes: 'a1', file: 'f1' })).toEqual([[1, 1]]);
    expect(read({ shape: 'other' })).toEqual([[1, 1]]);
    expect(read({ published: 'p1' })).toEqual([[1, 1]]);
    expect(read({ attributes: 'a1' })).toEqual([]);
    expect(read({ file: 'f1' })).toEqual([]);
  });

  test('one that is suspected, one that is new, one that has another OID; and what is gone', () => {
    const before = [table('item'), table('again', { oid: 2 }), table('gone', { oid: 3 })];
    const after = [table('item'), table('again', { oid: 4 }), table('fresh', { oid: 5, columns: { 1: 'id' } })];
    const found = plan(before, after, true, [1]);
    expect(loads(found)).toEqual([
      { name: 'item', id: 1, from: 1, columns: ['id', 'a', 'b'] },
      { name: 'again', id: 2, from: 2, columns: ['id', 'a', 'b'] },
      { name: 'fresh', id: 4, from: null, columns: [null] },
    ]);
    expect(found.gone).toEqual(['gone']);
  });

  test('all, known by their names, when nothing else is known', () => {
    const before = [table('item'), table('other', { oid: 2 })];
    const after = [
      table('item', { oid: 8, version: { shape: 'x' } }),
      table('other', { oid: 9, columns: { 1: 'id', 4: 'a' } }),
    ];
    expect(loads(plan(before, after, false))).toEqual([
      { name: 'item', id: 1, from: 1, columns: ['id', 'a', 'b'] },
      { name: 'other', id: 3, from: 2, columns: ['id', 'a'] },
    ]);
  });
});

describe('F10: what a table and its columns were', () => {
  const columns = (before: Record<number, string>, after: Record<number, string>, known = true) =>
    loads(plan([table('item', { columns: before })], [table('item', { columns: after })], known))[0]?.columns;

  test('columns are known by their numbers: renamed, swapped, made anew', () => {
    expect(columns({ 1: 'id', 2: 'a', 3: 'b' }, { 1: 'id', 2: 'c', 3: 'b' })).toEqual(['id', 'a', 'b']);
    expect(columns({ 1: 'id', 2: 'a', 3: 'b' }, { 1: 'id', 2: 'b', 3: 'a' })).toEqual(['id', 'a', 'b']);
    expect(columns({ 1: 'id', 2: 'a', 3: 'b' }, { 1: 'id', 3: 'b', 4: 'a' })).toEqual(['id', 'b', null]);
  });

  test('when their numbers are not known, by name, or by what stood in their place', () => {
    expect(columns({ 1: 'id', 2: 'a', 3: 'b' }, { 1: 'id', 2: 'c', 3: 'b' }, false)).toEqual(['id', 'a', 'b']);
    expect(columns({ 1: 'id', 2: 'a' }, { 1: 'id', 2: 'a', 3: 'n' }, false)).toEqual(['id', 'a', null]);
  });

  test('a renamed table by its OID, else by its columns', () => {
    const before = [table('item'), table('other', { oid: 2, columns: { 1: 'id' } })];
    const after = [table('article'), table('other', { oid: 2, columns: { 1: 'id' } })];
    for (const known of [true, false]) {
      const found = plan(before, after, known);
      expect(loads(found)[0]).toEqual({ name: 'article', id: 3, from: 1, columns: ['id', 'a', 'b'] });
      expect(found.gone).toEqual([]);
    }
  });

  test('renames stand in an order in which each finds its new name free; a swap has none, and gets new ids', () => {
    const [a, b, c] = [table('a'), table('b', { oid: 2 }), table('c', { oid: 3 })];
    const chain = plan([a, b, c], [table('b'), table('c', { oid: 2 }), table('d', { oid: 3 })]);
    expect(loads(chain).map(({ name, from }) => [from, name])).toEqual([
      [3, 'd'],
      [2, 'c'],
      [1, 'b'],
    ]);
    const swap = plan([a, b], [table('b'), table('a', { oid: 2 })]);
    expect(loads(swap).map(({ name, from, id }) => [from, name, id])).toEqual([
      [1, 'b', 3],
      [2, 'a', 4],
    ]);
  });
});
