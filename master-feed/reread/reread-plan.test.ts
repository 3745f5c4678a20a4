import { describe, expect, test } from 'vitest';
import { known } from '../session-step.ts';
import type { KnownTable, SourceTable } from '../source.ts';
import { planReread, type RereadPlan } from './reread-plan.ts';

interface Shape {
  id?: number;
  /** Column names by column id. All columns are text. */
  columns?: Record<number, string>;
  version?: string;
}

function table(
  name: string,
  { id = 1, columns = { 1: 'id', 2: 'a', 3: 'b' }, version = 'v0' }: Shape = {},
): SourceTable {
  const listed = Object.entries(columns);
  return {
    id,
    columnIds: listed.map(([n]) => Number(n)),
    version: { version },
    schema: {
      name,
      columns: listed.map(([, column]) => ({ name: column, type: 'text', source: 'text' })),
      key: ['id'],
    },
  };
}

const isUnchanged = (after: SourceTable, before: KnownTable) => after.version.version === before.version.version;

/**
 * Plans the re-read when the relay holds `before` and the master has `after`. `isKnown` states whether the feed has
 * descriptions of the relay's tables.
 */
function plan(before: SourceTable[], after: SourceTable[], isKnown = true, suspects: number[] = []): RereadPlan {
  return planReread(
    { tables: after, troubles: [] },
    {
      relay: { tables: before.map(({ schema }, i) => ({ id: i + 1, schema })), nextTableId: before.length + 1 },
      known: isKnown ? before.map(known) : null,
      suspects: new Set(suspects),
      isUnchanged,
    },
  );
}

const loads = ({ loads: found }: RereadPlan) =>
  found.map(({ number, from, columns, table: { schema } }) => ({ name: schema.name, id: number, from, columns }));

describe('F10: the re-read plan', () => {
  test('re-reads no table when every table is unchanged', () => {
    const both = [table('item'), table('other', { id: 2 })];
    expect(plan(both, both)).toEqual({
      kept: [
        { number: 1, table: both[0] },
        { number: 2, table: both[1] },
      ],
      loads: [],
      gone: [],
      marks: [],
    });
  });

  test("does not re-read a table only because the relay's schema has no logical types", () => {
    const before = table('item');
    const after = table('item');
    after.schema = { ...after.schema, columns: after.schema.columns.map((c) => ({ ...c, logical: { kind: 'text' } })) };
    expect(plan([before], [after]).kept.map(({ number }) => number)).toEqual([1]);
    expect(plan([after], [before]).loads).toEqual([]);
  });

  test('re-reads a table that the source reports as changed, and keeps its number', () => {
    const found = plan([table('item')], [table('item', { version: 'v1' })]);
    expect(loads(found).map(({ id, from }) => [id, from])).toEqual([[1, 1]]);
  });

  test('re-reads suspect, new and re-created tables, and lists dropped ones', () => {
    const before = [table('item'), table('again', { id: 2 }), table('gone', { id: 3 })];
    const after = [table('item'), table('again', { id: 4 }), table('fresh', { id: 5, columns: { 1: 'id' } })];
    const found = plan(before, after, true, [1]);
    expect(loads(found)).toEqual([
      { name: 'item', id: 1, from: 1, columns: ['id', 'a', 'b'] },
      { name: 'again', id: 2, from: 2, columns: ['id', 'a', 'b'] },
      { name: 'fresh', id: 4, from: null, columns: [null] },
    ]);
    expect(found.gone).toEqual(['gone']);
  });

  test('re-reads every table, matched by name, when the feed has no stored description', () => {
    const before = [table('item'), table('other', { id: 2 })];
    const after = [table('item', { id: 8, version: 'v1' }), table('other', { id: 9, columns: { 1: 'id', 4: 'a' } })];
    expect(loads(plan(before, after, false))).toEqual([
      { name: 'item', id: 1, from: 1, columns: ['id', 'a', 'b'] },
      { name: 'other', id: 3, from: 2, columns: ['id', 'a'] },
    ]);
  });
});

describe('F10: the origin of a table and its columns', () => {
  const columns = (before: Record<number, string>, after: Record<number, string>, isKnown = true) =>
    loads(plan([table('item', { columns: before })], [table('item', { columns: after })], isKnown))[0]?.columns;

  test('matches renamed, swapped and re-created columns by id', () => {
    expect(columns({ 1: 'id', 2: 'a', 3: 'b' }, { 1: 'id', 2: 'c', 3: 'b' })).toEqual(['id', 'a', 'b']);
    expect(columns({ 1: 'id', 2: 'a', 3: 'b' }, { 1: 'id', 2: 'b', 3: 'a' })).toEqual(['id', 'a', 'b']);
    expect(columns({ 1: 'id', 2: 'a', 3: 'b' }, { 1: 'id', 3: 'b', 4: 'a' })).toEqual(['id', 'b', null]);
  });

  test('matches columns by name, then by position, when their ids are unknown', () => {
    expect(columns({ 1: 'id', 2: 'a', 3: 'b' }, { 1: 'id', 2: 'c', 3: 'b' }, false)).toEqual(['id', 'a', 'b']);
    expect(columns({ 1: 'id', 2: 'a' }, { 1: 'id', 2: 'a', 3: 'n' }, false)).toEqual(['id', 'a', null]);
  });

  test('matches a renamed table by its OID, or else by its columns', () => {
    const before = [table('item'), table('other', { id: 2, columns: { 1: 'id' } })];
    const after = [table('article'), table('other', { id: 2, columns: { 1: 'id' } })];
    for (const known of [true, false]) {
      const found = plan(before, after, known);
      expect(loads(found)[0]).toEqual({ name: 'article', id: 3, from: 1, columns: ['id', 'a', 'b'] });
      expect(found.gone).toEqual([]);
    }
  });

  test('orders renames so that each new name is free, and gives tables that swapped names new numbers', () => {
    const [a, b, c] = [table('a'), table('b', { id: 2 }), table('c', { id: 3 })];
    const chain = plan([a, b, c], [table('b'), table('c', { id: 2 }), table('d', { id: 3 })]);
    expect(loads(chain).map(({ name, from }) => [from, name])).toEqual([
      [3, 'd'],
      [2, 'c'],
      [1, 'b'],
    ]);
    const swap = plan([a, b], [table('b'), table('a', { id: 2 })]);
    expect(loads(swap).map(({ name, from, id }) => [from, name, id])).toEqual([
      [1, 'b', 3],
      [2, 'a', 4],
    ]);
  });
});
