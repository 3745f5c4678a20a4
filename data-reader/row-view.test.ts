import path from 'node:path';
import type { ColumnSchema, TableSchema } from '@tidemark/protocol/schema';
import { ident, openReader, openWriter, type Reader, type Writer } from '@tidemark/table-store/sqlite';
import { createTableSql } from '@tidemark/table-store/table-ddl';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import type { RowSet } from './contract.ts';
import type { Position } from './keyset.ts';
import { RowView, type ViewRow } from './row-view.ts';

/**
 * Pages of rows against SQLite's own ORDER BY, LIMIT and OFFSET over the same table.
 */

const open: (Reader | Writer)[] = [];
afterEach(() => {
  for (const db of open.splice(0)) db.close();
});

/** Returns a writer and a reader of a new database. */
function database(): { writer: Writer; reader: Reader } {
  const file = path.join(temporaryFolder('row-view'), 'replica.sqlite');
  const writer = openWriter(file, { synchronous: 'normal' });
  const reader = openReader(file);
  open.push(writer, reader);
  return { writer, reader };
}

const column = (name: string, type: ColumnSchema['type']): ColumnSchema => ({ name, type, source: type });

type Stored = null | bigint | number | string | Buffer;

const text = fc.string({ unit: 'binary', maxLength: 6 });
const integer = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const blob = fc.uint8Array({ maxLength: 5 }).map((bytes) => Buffer.from(bytes));
const real = fc.double({ noNaN: true });
/** Few different values, so that rows share them and the key decides their order. */
const few = fc.constantFrom<Stored>(null, '', 'a', 'b', 'Ä');
const KINDS = { integer, text, blob, real, numeric: fc.oneof(fc.integer({ min: -99, max: 99 }).map(BigInt), real) };

interface Case {
  schema: TableSchema;
  withoutRowid: boolean;
  rows: Stored[][];
  sort: RowSet['sort'];
}

const keyTypes = fc.constantFrom<ColumnSchema['type'][]>(
  ['integer'],
  ['text'],
  ['blob'],
  ['numeric'],
  ['integer', 'text'],
  ['text', 'blob', 'integer'],
  ['blob', 'real'],
  [],
);

const cases: fc.Arbitrary<Case> = keyTypes.chain((types) => {
  const keys = types.map((type, i) => column(`key ${i}"`, type));
  const columns = [column('note', 'text'), ...keys, column('amount', 'numeric')];
  const schema: TableSchema = { name: 'a "table"', columns, key: keys.map(({ name }) => name) };
  const row = fc.tuple(few, ...types.map((type): fc.Arbitrary<Stored> => KINDS[type]), fc.option(KINDS.numeric));
  return fc.record({
    schema: fc.constant(schema),
    withoutRowid: types.length > 0 ? fc.boolean() : fc.constant(false),
    rows: fc.array(row, { maxLength: 40 }),
    sort: fc.option(
      fc.record({ column: fc.constantFrom(...columns.map(({ name }) => name)), descending: fc.boolean() }),
    ),
  });
});

/** Creates and fills the table of a case. Returns its number of rows. */
function fill(db: Writer, { schema, withoutRowid, rows }: Case): number {
  db.exec(`${createTableSql(schema)}${withoutRowid ? ' WITHOUT ROWID' : ''}`);
  const insert = db.prepare(
    `INSERT OR IGNORE INTO ${ident(schema.name)} VALUES (${schema.columns.map(() => '?').join(', ')})`,
  );
  for (const row of rows) insert.run(...row);
  return Number(
    db
      .prepare(`SELECT count(*) FROM ${ident(schema.name)}`)
      .pluck()
      .get(),
  );
}

/** Returns all rows as text, in the order that SQLite gives them. */
function reference(db: Reader, { schema, sort }: Case): string[] {
  const key = schema.key.length > 0 ? schema.key.map(ident) : ['rowid'];
  const direction = sort?.descending ? 'DESC' : 'ASC';
  const order = [...(sort ? [ident(sort.column)] : []), ...key].map((term) => `${term} ${direction}`).join(', ');
  return db
    .prepare(`SELECT * FROM ${ident(schema.name)} ORDER BY ${order}`)
    .raw()
    .safeIntegers()
    .all()
    .map((row) => shown(row as Stored[]));
}

const shown = (row: readonly Stored[]): string =>
  JSON.stringify(
    row.map((value) => (Buffer.isBuffer(value) ? `x${value.toString('hex')}` : value === null ? null : String(value))),
  );
const shownRow = ({ cells }: ViewRow): string =>
  JSON.stringify(cells.map((cell) => (cell === null ? null : cell.type === 'blob' ? `x${cell.hex}` : cell.text)));

const setOf = ({ schema, sort }: Case): RowSet => ({ table: schema.name, filters: [], sort });

test('every page by row number equals the reference, before and after the rows are counted', () => {
  fc.assert(
    fc.property(cases, fc.integer({ min: 1, max: 7 }), (each, limit) => {
      const { writer, reader } = database();
      const count = fill(writer, each);
      const all = reference(reader, each);
      const view = new RowView(each.schema, setOf(each), count);
      const starts = all.map((_, i) => i).toSorted((a, b) => ((a * 7) % 11) - ((b * 7) % 11));
      for (const from of [...starts, all.length])
        expect(view.rows(reader, from, limit).map(shownRow)).toEqual(all.slice(from, from + limit));
      while (view.survey(reader));
      expect(view.total).toBe(all.length);
      for (const from of starts)
        expect(view.rows(reader, from, limit).map(shownRow)).toEqual(all.slice(from, from + limit));
    }),
    { numRuns: 150 },
  );
});

test('pages after and before each row equal the reference, from both ends', () => {
  fc.assert(
    fc.property(cases, fc.integer({ min: 1, max: 7 }), (each, limit) => {
      const { writer, reader } = database();
      const view = new RowView(each.schema, setOf(each), fill(writer, each));
      const all = reference(reader, each);
      for (const backwards of [false, true]) {
        const read: string[] = [];
        let position: Position | null = null;
        for (;;) {
          const page = view.beside(reader, position, backwards, limit);
          if (page.length === 0) break;
          const rows = page.map(({ row }) => shownRow(row));
          read.splice(backwards ? 0 : read.length, 0, ...rows);
          position = page.at(backwards ? 0 : -1)?.position ?? null;
        }
        expect(read).toEqual(all);
      }
    }),
    { numRuns: 150 },
  );
});

test('filters select the rows that SQLite selects, and the survey counts them', () => {
  const filters = fc.array(
    fc.oneof(
      fc.record({
        column: fc.constant('note'),
        operator: fc.constantFrom('contains', 'equals', 'greater', 'less', 'is-null', 'is-not-null'),
        value: fc.constantFrom('', 'a', 'B', '%', '_', 'Ä', "'", '\\'),
      }),
      fc.record({
        column: fc.constant('amount'),
        operator: fc.constantFrom('equals', 'greater', 'less', 'is-null'),
        value: fc.constantFrom('0', '-5', ' 7 ', '1e3', '0.5', '9223372036854775808'),
      }),
    ),
    { maxLength: 2 },
  );
  const matches = (row: Stored[], { column: name, operator, value }: RowSet['filters'][number], i: number): boolean => {
    const found = row[i] ?? null;
    if (operator === 'is-null') return found === null;
    if (found === null) return false;
    if (operator === 'is-not-null') return true;
    if (operator === 'contains') return String(found).toLowerCase().includes(value.toLowerCase());
    const wanted = name === 'amount' ? Number(value) : value;
    if (operator === 'equals') return typeof wanted === 'number' ? Number(found) === wanted : found === wanted;
    const [a, b] = typeof wanted === 'string' ? [Buffer.from(String(found)), Buffer.from(wanted)] : [found, wanted];
    const sign = Buffer.isBuffer(a) && Buffer.isBuffer(b) ? Buffer.compare(a, b) : a < b ? -1 : a > b ? 1 : 0;
    return operator === 'greater' ? sign > 0 : sign < 0;
  };
  fc.assert(
    fc.property(cases, filters, (each, wanted) => {
      const { writer, reader } = database();
      fill(writer, each);
      const names = each.schema.columns.map(({ name }) => name);
      const rows = reader
        .prepare(`SELECT * FROM ${ident(each.schema.name)}`)
        .raw()
        .safeIntegers()
        .all() as Stored[][];
      const expected = rows
        .filter((row) => wanted.every((filter) => matches(row, filter, names.indexOf(filter.column))))
        .map(shown);
      const view = new RowView(each.schema, { ...setOf(each), filters: wanted }, rows.length);
      while (view.survey(reader));
      expect(view.total).toBe(expected.length);
      const found = view.rows(reader, 0, 200).map(shownRow);
      expect(found.toSorted()).toEqual(expected.toSorted());
    }),
    { numRuns: 150 },
  );
});

test('rows of a large table are found from marks that the survey sets', () => {
  const { writer, reader } = database();
  const schema: TableSchema = { name: 't', columns: [column('k', 'text'), column('n', 'integer')], key: ['k'] };
  writer.exec(createTableSql(schema));
  writer.exec(`INSERT INTO t WITH RECURSIVE r(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM r WHERE i < 40000)
    SELECT printf('%08d', i), i % 3 FROM r`);
  for (const filters of [[], [{ column: 'n', operator: 'equals' as const, value: '1' }]])
    for (const descending of [false, true]) {
      const all = reader
        .prepare(`SELECT k FROM t ${filters.length > 0 ? 'WHERE n = 1' : ''} ORDER BY k ${descending ? 'DESC' : ''}`)
        .pluck()
        .all();
      const view = new RowView(schema, { table: 't', filters, sort: { column: 'k', descending } }, 40_001);
      while (view.survey(reader));
      expect(view.total).toBe(all.length);
      for (const from of [
        0,
        1,
        4999,
        5000,
        5001,
        12_345,
        all.length - 101,
        all.length - 100,
        all.length - 1,
        all.length,
      ])
        expect(view.rows(reader, from, 100).map(({ cells }) => cells[0])).toEqual(
          all.slice(from, from + 100).map((value) => ({ type: 'text', text: value })),
        );
    }
});
