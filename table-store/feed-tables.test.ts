import { rmSync } from 'node:fs';
import path from 'node:path';
import type { WireRow, WireValue } from '@tidemark/protocol/lines';
import type { ColumnType } from '@tidemark/protocol/schema';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import { rowsOf as rowsIn, schemaOf, sorted } from '@tidemark/testing/test-mirror';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FeedTables } from './feed-tables.ts';
import { openWriter, type Writer } from './sqlite.ts';

let folder: string;
let db: Writer;
beforeEach(() => {
  folder = temporaryFolder('tables');
  db = openWriter(path.join(folder, 'replica.sqlite'), { synchronous: 'normal' });
});
afterEach(() => {
  db.close();
  rmSync(folder, { recursive: true, force: true });
});

const rowsOf = (table: string) => rowsIn(db, table);
const indexes = (table: string) =>
  db.prepare("SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = ? ORDER BY name").pluck().all(table);
const refuses = (work: () => unknown, code: string) =>
  expect(work).toThrowError(expect.objectContaining({ code }) as Error);

describe('tables without a key', () => {
  /** Values that are easily confused, by the type of their column. */
  const VALUES: Record<ColumnType, WireValue[]> = {
    integer: [null, 0, 1, -1, '9223372036854775807', '9007199254740993', '9007199254740992'],
    numeric: [null, 1, 1.5, 'NaN', 0.1],
    real: [null, 1, 1.5, 'NaN', 'Infinity', 1e300],
    text: [null, '', '1', '1.0', 'a', 'A', 'a ', 'NaN', '\u0000b'],
    blob: [null, '', 'MQ==', 'AA=='],
  };
  const TYPES = Object.keys(VALUES) as ColumnType[];
  const schema = schemaOf('loose', Object.fromEntries(TYPES.map((type) => [`a ${type}`, type])), []);
  const row = fc.tuple(...TYPES.map((type) => fc.constantFrom(...VALUES[type]))) as fc.Arbitrary<WireRow>;

  test('L8: hold the same multiset of rows as an array after any inserts and deletes', () => {
    fc.assert(
      fc.property(
        fc.array(row, { minLength: 1, maxLength: 6 }),
        fc.array(fc.tuple(fc.constantFrom('i', 'd'), fc.array(fc.nat(5), { minLength: 1, maxLength: 60 }))),
        (kinds, steps) => {
          db.exec('DROP TABLE IF EXISTS loose; DROP TABLE IF EXISTS tidemark_table');
          const tables = new FeedTables(db);
          tables.declare(1, schema);
          const oracle: string[] = [];
          for (const [kind, picks] of steps) {
            const rows = picks.map((pick) => kinds[pick % kinds.length] ?? []);
            tables.apply([kind as 'i' | 'd', 1, rows]);
            for (const said of rows.map((each) => JSON.stringify(each))) {
              const at = oracle.indexOf(said);
              if (kind === 'i') oracle.push(said);
              else if (at >= 0) oracle.splice(at, 1);
            }
          }
          expect(sorted(rowsOf('loose'))).toEqual(oracle.sort());
          expect(tables.list()[0]?.rows).toBe(oracle.length);
          for (const each of kinds)
            expect(tables.readByKey(1, each)).toEqual(oracle.includes(JSON.stringify(each)) ? each : null);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('L8: delete a row by a seek, even when they have many columns', () => {
    const names = Array.from({ length: 1600 }, (_, n) => `c${n}`);
    const wide = schemaOf('wide', Object.fromEntries(names.map((name) => [name, 'text'])), []);
    const tables = new FeedTables(db);
    tables.declare(7, wide);
    expect(indexes('wide')).toEqual(['tidemark_all_7']);
    const rows = [1, 2, 2].map((n) => names.map((name) => (name === 'c1599' ? `${n}` : null)));
    tables.apply(['i', 7, rows]);
    tables.apply(['d', 7, rows.slice(1, 2)]);
    expect(sorted(rowsOf('wide'))).toEqual(sorted(rows.slice(0, 2)));
    const plan = db
      .prepare(`EXPLAIN QUERY PLAN SELECT rowid FROM wide WHERE (${names.join()}) IS (${names.map(() => '?').join()})`)
      .all(...names) as { detail: string }[];
    expect(plan.map(({ detail }) => detail.slice(0, 60)).join()).toMatch(
      /^SEARCH wide USING COVERING INDEX tidemark_all_7 /,
    );
  });

  test('delete the right row when a column is named rowid', () => {
    const tables = new FeedTables(db);
    tables.declare(1, schemaOf('odd', { rowid: 'integer', oid: 'text' }, []));
    const rows = [
      [1, 'a'],
      [1, 'a'],
      [2, 'b'],
    ];
    tables.apply(['i', 1, rows]);
    tables.apply(['d', 1, [[1, 'a']]]);
    expect(sorted(rowsOf('odd'))).toEqual(sorted(rows.slice(1)));
  });

  test('can gain a key and lose it again', () => {
    const tables = new FeedTables(db);
    tables.declare(1, schemaOf('item', { id: 'integer', name: 'text' }, []));
    tables.apply(['i', 1, [[1, 'a']]]);
    tables.declare(2, schemaOf('item', { id: 'integer', name: 'text' }, ['id']));
    tables.apply(['a', 2, 1, ['id', 'name']]);
    tables.apply(['u', 2, [[1, 'b']]]);
    expect(rowsOf('item')).toEqual([[1, 'b']]);
    expect(indexes('item')).toEqual([]);
    tables.declare(3, schemaOf('item', { id: 'integer', name: 'text' }, []));
    tables.apply(['a', 3, 2, ['id', 'name']]);
    tables.apply(['i', 3, [[1, 'b']]]);
    expect(rowsOf('item')).toEqual([
      [1, 'b'],
      [1, 'b'],
    ]);
    expect(indexes('item')).toEqual(['tidemark_all_3']);
  });
});

describe('altered tables', () => {
  const columnName = fc.constantFrom('b', 'c', 'd e', 'F', '"q"', 'rowid');
  const columns = fc.uniqueArray(fc.tuple(columnName, fc.constantFrom<ColumnType>('integer', 'text')), {
    selector: ([name]) => name,
    maxLength: 5,
  });
  /** Returns the value of a column after its type changed. */
  const turned = (value: WireValue, type: ColumnType): WireValue =>
    value === null ? null : type === 'text' ? String(value) : Number(value);

  test('schema-change-under-flow: each column keeps its values, for any old and new columns', () => {
    fc.assert(
      fc.property(
        fc.boolean(),
        columns,
        fc.array(fc.tuple(columns, fc.func(fc.option(fc.nat(5))), fc.boolean()), { minLength: 1, maxLength: 4 }),
        fc.nat(70),
        (keyed, first, alterations, rows) => {
          db.exec('DROP TABLE IF EXISTS t; DROP TABLE IF EXISTS u; DROP TABLE IF EXISTS tidemark_table');
          const tables = new FeedTables(db);
          const key = keyed ? ['id'] : [];
          const schemaWith = (name: string, more: [string, ColumnType][]) =>
            schemaOf(name, { id: 'integer', ...Object.fromEntries(more) }, key);
          let schema = schemaWith('t', first);
          tables.declare(1, schema);
          let oracle: WireRow[] = Array.from({ length: rows }, (_, n) =>
            schema.columns.map(({ type }, at) => (at === 0 ? n : turned(n % 3 === 0 ? null : n, type))),
          );
          if (rows > 0) tables.apply(['i', 1, oracle]);
          alterations.forEach(([next, pick, renamed], n) => {
            const before = schema;
            schema = schemaWith(renamed ? 'u' : 't', next);
            const from = schema.columns.map(({ name }, at) => {
              if (at === 0) return 'id';
              const same = before.columns.findIndex((column) => column.name === name);
              const picked = same > 0 ? same : pick(name);
              return picked === null ? null : (before.columns[picked]?.name ?? null);
            });
            tables.declare(n + 2, schema, false);
            tables.apply(['a', n + 2, n + 1, from]);
            oracle = oracle.map((row) =>
              schema.columns.map(({ type }, at) => {
                const old = before.columns.findIndex((column) => column.name === from[at]);
                return old < 0 ? null : turned(row[old] ?? null, type);
              }),
            );
          });
          expect(sorted(rowsOf(schema.name))).toEqual(sorted(oracle));
          expect(tables.list()).toEqual([{ id: alterations.length + 1, schema, rows }]);
          tables.saveCounts();
          expect(new FeedTables(db).list()).toEqual([{ id: alterations.length + 1, schema, rows }]);
          if (rows > 0) tables.apply(['d', alterations.length + 1, [keyed ? [0] : (oracle[0] ?? [])]]);
          expect(tables.list()[0]?.rows).toBe(Math.max(0, rows - 1));
          expect(rowsOf(schema.name)).toHaveLength(Math.max(0, rows - 1));
        },
      ),
      { numRuns: 100 },
    );
  });

  const ITEM = schemaOf('item', { id: 'integer', name: 'text', price: 'numeric' }, ['id']);

  function item(): FeedTables {
    const tables = new FeedTables(db);
    tables.declare(1, ITEM);
    tables.apply(['i', 1, [[1, 'pear', 2.5]]]);
    tables.saveCounts();
    return tables;
  }

  test('L7: gain columns at the end without being rewritten', () => {
    const tables = item();
    const root = () => db.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'item'").pluck().get();
    const before = root();
    tables.declare(2, schemaOf('item', { id: 'integer', name: 'text', price: 'numeric', note: 'text' }, ['id']));
    tables.apply(['a', 2, 1, ['id', 'name', 'price', null]]);
    expect(root()).toBe(before);
    expect(rowsOf('item')).toEqual([[1, 'pear', 2.5, null]]);
  });

  test.each([
    ['a column dropped', schemaOf('item', { id: 'integer', name: 'text' }, ['id']), ['id', 'name']],
    [
      'a column appended',
      schemaOf('item', { id: 'integer', name: 'text', price: 'numeric', x: 'blob' }, ['id']),
      ['id', 'name', 'price', null],
    ],
    [
      'a column renamed',
      schemaOf('item', { id: 'integer', label: 'text', price: 'numeric' }, ['id']),
      ['id', 'name', 'price'],
    ],
    ['the table renamed', { ...ITEM, name: 'ware' }, ['id', 'name', 'price']],
    ['the table renamed by case', { ...ITEM, name: 'Item' }, ['id', 'name', 'price']],
  ] as const)(
    'T1: keep the views, indexes and triggers of other programs that they still allow (%s)',
    (_, schema, columns) => {
      const tables = item();
      db.exec(`
      CREATE TABLE audit (id INTEGER, ref INTEGER REFERENCES item (id));
      CREATE VIEW whole AS SELECT name, price FROM item;
      CREATE VIEW broken AS SELECT gone FROM nowhere;
      CREATE INDEX by_id ON item (id, name);
      CREATE INDEX by_price ON item (price) WHERE price > 1;
      CREATE TRIGGER noted AFTER INSERT ON item BEGIN INSERT INTO audit (id) VALUES (new.id); END;
      CREATE TRIGGER elsewhere AFTER INSERT ON audit BEGIN DELETE FROM audit WHERE id NOT IN (SELECT id FROM item); END;
    `);
      const others = () =>
        db.prepare("SELECT name, sql FROM sqlite_schema WHERE name IN ('audit', 'whole', 'broken', 'elsewhere')").all();
      const before = others();
      tables.declare(2, schema, false);
      tables.apply(['a', 2, 1, [...columns]]);
      expect(others()).toEqual(before);
      const renamedColumn = schema.columns.some(({ name }) => name === 'label');
      const droppedColumn = schema.columns.length === 2;
      const gone = [...(renamedColumn ? ['by_id'] : []), ...(droppedColumn ? ['by_price'] : [])];
      expect(tables.takeDropped()).toEqual(gone);
      expect(tables.takeDropped()).toEqual([]);
      expect(indexes(schema.name)).toEqual(['by_id', 'by_price'].filter((name) => !gone.includes(name)));
      expect(db.prepare("SELECT tbl_name FROM sqlite_schema WHERE name = 'noted'").pluck().get()).toBe(schema.name);
      if (schema.name.toLowerCase() !== 'item') db.exec('DROP TRIGGER elsewhere');
      tables.apply(['i', 2, [[2, ...schema.columns.slice(1).map(() => null)]]]);
      expect(db.prepare('SELECT id FROM audit').pluck().all()).toEqual([2]);
    },
  );

  test('L9: get their additional indexes on creation and after each alteration', () => {
    const tables = new FeedTables(db);
    tables.declare(1, { ...ITEM, indexes: [['name'], ['price', 'name']] });
    expect(indexes('item')).toEqual(['tidemark_index_1_0', 'tidemark_index_1_1']);
    tables.declare(
      2,
      schemaOf('item', { id: 'integer', label: 'text', price: 'numeric' }, ['id'], { indexes: [['label']] }),
    );
    tables.apply(['a', 2, 1, ['id', 'name', 'price']]);
    expect(indexes('item')).toEqual(['tidemark_index_2_0']);
    tables.declare(3, { ...ITEM, indexes: [['price']] });
    tables.apply(['r', 3]);
    expect(indexes('item')).toEqual(['tidemark_index_3_0']);
    refuses(() => tables.declare(4, { ...ITEM, name: 'other', indexes: [['gone']] }), 'page_invalid');
  });

  test('throw page_invalid for a line that does not fit', () => {
    const tables = item();
    const next = schemaOf('item', { id: 'integer', name: 'text' }, ['id']);
    tables.declare(2, next);
    refuses(() => tables.apply(['a', 2, 9, ['id', 'name']]), 'page_invalid');
    refuses(() => tables.apply(['a', 2, 1, ['id']]), 'page_invalid');
    refuses(() => tables.apply(['a', 2, 1, ['id', 'gone']]), 'page_invalid');
    refuses(() => tables.apply(['a', 2, 1, [null, 'name']]), 'page_invalid');
    refuses(() => tables.apply(['a', 1, 1, ['id', 'name', 'price']]), 'page_invalid');
    expect(rowsOf('item')).toEqual([[1, 'pear', 2.5]]);
    db.exec('CREATE VIEW taken AS SELECT 1');
    tables.declare(3, { ...ITEM, name: 'taken' }, false);
    refuses(() => tables.apply(['a', 3, 1, ['id', 'name', 'price']]), 'name_clash');
  });
});
