import type { WireRow, WireValue } from '@tidemark/protocol/lines';
import type { ColumnSchema, TableSchema } from '@tidemark/protocol/schema';
import { indexScopes } from '@tidemark/relay-server/ingest/routed-writer';
import { type Attributes, type Condition, scopesOf, type TableFilter } from '@tidemark/relay-server/routing/filters';
import { Router } from '@tidemark/relay-server/routing/router';
import { RowStatements } from '@tidemark/table-store/row-statements';
import { openWriter } from '@tidemark/table-store/sqlite';
import { createTableSql } from '@tidemark/table-store/table-ddl';
import { Random } from '@tidemark/testing/random';
import { expect, test } from 'vitest';

/**
 * Columns, each with values in the form that the feed sends and constants in the forms that relay.yaml or an attribute
 * can contain.
 */
const KINDS: { column: Omit<ColumnSchema, 'name'>; values: WireValue[]; texts: string[] }[] = [
  {
    column: { type: 'integer', source: 'bigint' },
    values: [7, 10, -1, 0, '9223372036854775807', '9007199254740993'],
    texts: ['7', '007', '10', '10.0', '-1', '-0', '0', '9223372036854775807', '9999999999999999999', 'x'],
  },
  { column: { type: 'integer', source: 'boolean' }, values: [0, 1], texts: ['true', 'false', '1', '0', 'yes'] },
  {
    column: { type: 'numeric', source: 'numeric(15,3)' },
    values: [10.5, 10, 0.001, -2.25, 0, 'NaN', '123456789012.120', '-12345678901.125', '123456789012.000'],
    texts: [
      '10.5',
      '10.50',
      '10',
      '0.001',
      '-2.25',
      '-0',
      'NaN',
      '123456789012.12',
      '123456789012',
      '-12345678901.125',
    ],
  },
  {
    column: { type: 'numeric', source: 'numeric(3,20)' },
    values: ['0.00000000000000000123', '0.00000000000000000100', '0.00000000000000000000'],
    texts: ['0.00000000000000000123', '0.000000000000000001', '1e-18', '0'],
  },
  {
    column: { type: 'numeric', source: 'numeric(3,-20)' },
    values: ['12300000000000000000000', '-100000000000000000000'],
    texts: ['12300000000000000000000', '-100000000000000000000', '1.23e22'],
  },
  {
    column: { type: 'text', source: 'numeric(20,6)' },
    values: ['10.500000', '10.000000', '100.000000', '0.000000', '-0.500000', '12345678901234.123456', 'NaN'],
    texts: ['10.5', '10.500000', '10', '100', '0', '0.0', '-0.5', '12345678901234.123456', 'NaN', '1'],
  },
  {
    column: { type: 'text', source: 'numeric' },
    values: ['10.5', '10.50', '10', '10.0', '100', '-Infinity', '1.10'],
    texts: ['10.5', '10.50', '10', '100', '1', '-Infinity', '1.1'],
  },
  {
    column: { type: 'text', source: 'character(5)' },
    values: ['AB   ', 'ABCDE', ' AB  ', '     ', 'ä    '],
    texts: ['AB', 'ABCDE', ' AB', 'ABCDEF', 'ä', 'A'],
  },
  { column: { type: 'text', source: 'bpchar' }, values: ['AB ', 'AB', ''], texts: ['AB', 'A'] },
  {
    column: { type: 'text', source: 'text' },
    values: ['10.5', '10.50', 'AB', 'AB ', '', '007', '$x', 'a&b=c'],
    texts: ['10.5', '10.50', 'AB', '007', '7', '$x', 'a&b=c'],
  },
  {
    column: { type: 'text', source: 'date' },
    values: ['2026-01-31', '0044-03-15 BC', 'infinity'],
    texts: ['2026-01-31', '31.1.2026', 'infinity', '0044-03-15 BC'],
  },
  {
    column: { type: 'text', logical: { kind: 'character', length: 5 }, source: 'a_domain' },
    values: ['AB   ', 'ABCDE', '     '],
    texts: ['AB', 'ABCDE', 'ABCDEF', 'A'],
  },
  {
    column: { type: 'numeric', logical: { kind: 'decimal', precision: 6, scale: 2 }, source: 'a_domain' },
    values: [10.5, 10, 0, 'NaN'],
    texts: ['10.50', '10', '0.00', '0.001', 'NaN'],
  },
  {
    column: { type: 'integer', logical: { kind: 'integer', bits: 32, unsigned: true }, source: 'oid' },
    values: [0, 7, 4_294_967_295],
    texts: ['0', '7', '-1', '4294967295', '4294967296'],
  },
  {
    column: { type: 'text', logical: { kind: 'integer', bits: 64, unsigned: true }, source: 'bigint unsigned' },
    values: ['0', '7', '18446744073709551615'],
    texts: ['0', '07', '7', '18446744073709551615'],
  },
  {
    column: { type: 'text', logical: { kind: 'enum' }, source: 'mood' },
    values: ['sad', 'ok'],
    texts: ['sad', 'ok', 'SAD', ''],
  },
];

const seeds = process.env.TIDEMARK_SEED ? [Number(process.env.TIDEMARK_SEED)] : [1, 2, Date.now() % 1_000_000];

test.each(seeds)('G1 snapshots and increments choose the same rows, whatever the column type (seed %i)', (seed) => {
  const random = new Random(seed);
  for (let round = 0; round < 60; round++) {
    const kinds = Array.from({ length: random.int(1, 3) }, () => random.pick(KINDS));
    const schema: TableSchema = {
      name: 't',
      columns: [
        { name: 'id', type: 'integer', source: 'bigint' },
        ...kinds.map(({ column }, n) => ({ ...column, name: `c"${n}` })),
      ],
      key: ['id'],
    };
    const attributes: Attributes = {};
    const where = kinds.map(({ texts }, n): Condition => {
      const values = Array.from({ length: random.int(1, 4) }, () => random.pick(texts));
      if (random.chance(0.6)) {
        attributes[`a${n}`] = values.join(',');
        return { column: `c"${n}`, at: '', attribute: `a${n}` };
      }
      return { column: `c"${n}`, at: '', values: random.chance(0.3) ? [...values, null] : values };
    });
    const filter: TableFilter = { where, columns: null, indexes: [] };
    const router = new Router(schema, filter, []);
    const rows = Array.from(
      { length: 60 },
      (_, id): WireRow => [id, ...kinds.map(({ values }) => random.pick([...values, null]))],
    );
    const scopes = new Set(scopesOf(filter, attributes));
    const db = openWriter(':memory:', { synchronous: 'normal' });
    db.exec(createTableSql(schema));
    indexScopes(db, router, 't');
    const statements = new RowStatements(db, schema);
    statements.upsert(rows);
    const part = router.part(attributes);
    const query = db.prepare(`SELECT id FROM t WHERE ${part.where} ORDER BY id`);
    const chosen = new Set(query.pluck().all(...part.params));
    for (const row of rows) {
      const scope = router.scopeOf(row);
      const said = JSON.stringify({ row, kinds: kinds.map(({ column }) => column.source), where, attributes });
      expect(chosen.has(row[0]), said).toBe(scope !== null && scopes.has(scope));
      // The mirror's copy of the row is in the same scope.
      const kept = statements.read([row[0] ?? null]);
      expect(kept && router.scopeOf(kept), said).toBe(scope);
    }
    db.close();
  }
});

const COLUMNS: TableSchema = {
  name: 't',
  columns: [
    { name: 'id', type: 'integer', source: 'integer' },
    { name: 'small', type: 'integer', source: 'smallint' },
    { name: 'active', type: 'integer', source: 'boolean' },
    { name: 'price', type: 'numeric', source: 'numeric(10,2)' },
    { name: 'rate', type: 'text', source: 'numeric(20,6)' },
    { name: 'any', type: 'text', source: 'numeric' },
    { name: 'code', type: 'text', source: 'character(5)' },
    { name: 'note', type: 'text', source: 'text' },
    { name: 'uid', type: 'text', source: 'uuid' },
    { name: 'day', type: 'text', source: 'date' },
    { name: 'clock', type: 'text', source: 'time without time zone' },
    { name: 'local', type: 'text', source: 'timestamp(3) without time zone' },
    { name: 'stamp', type: 'text', source: 'timestamp with time zone' },
    { name: 'unsigned', type: 'integer', logical: { kind: 'integer', bits: 32, unsigned: true }, source: 'oid' },
    { name: 'named', type: 'text', logical: { kind: 'character', length: 5 }, source: 'a_domain' },
    { name: 'misnamed', type: 'text', logical: { kind: 'text' }, source: 'uuid' },
  ],
  key: ['id'],
};

function mistakes(column: string, value: string): string[] {
  const found: string[] = [];
  new Router(COLUMNS, { where: [{ column, at: 'here', values: [value] }], columns: null, indexes: [] }, found);
  return found;
}

test.each([
  ['id', 'abc', 'an integer'],
  ['id', '007', 'an integer'],
  ['id', '2147483648', 'an integer'],
  ['small', '32768', 'an integer'],
  ['active', 'yes', 'true or false'],
  ['active', '1', 'true or false'],
  ['price', '10.125', 'a number of 2 decimals or fewer'],
  ['price', '1e3', 'a number'],
  ['rate', '10,5', 'a number of 6 decimals or fewer'],
  ['any', 'ten', 'a number'],
  ['code', 'ABCDEF', 'a text of 5 characters or fewer'],
  ['uid', '12', 'a UUID'],
  ['day', '1.1.2026', 'a date such as'],
  ['day', '2026-02-30', 'a date such as'],
  ['clock', '8:00', 'a time such as'],
  ['local', '2026-01-31 08:24:35', 'such as 2026-01-31T08:24:35'],
  ['stamp', '2026-01-31T08:24:35Z', 'such as 2026-01-31T08:24:35.100000Z'],
  ['unsigned', '-1', 'an integer'],
  ['unsigned', '4294967296', 'an integer'],
  ['named', 'ABCDEF', 'a text of 5 characters or fewer'],
])('G6 refuses a constant that the column %s cannot hold: %s', (column, value, says) => {
  expect(mistakes(column, value)).toEqual([expect.stringContaining(`here: "${value}" is no value of the column`)]);
  expect(mistakes(column, value)[0]).toContain(says);
});

test.each([
  ['id', '-2147483648'],
  ['active', 'true'],
  ['price', '10.50'],
  ['rate', '10.5'],
  ['rate', '10.50000000'],
  ['any', 'NaN'],
  ['code', 'AB      '],
  ['note', ' what ever'],
  ['uid', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
  ['day', '2024-02-29'],
  ['day', '0005-02-29 BC'],
  ['day', 'infinity'],
  ['clock', '24:00:00'],
  ['local', '2026-01-31T08:24:35.1 BC'],
  ['stamp', '2026-01-31T08:24:35.100000Z'],
  ['unsigned', '4294967295'],
  ['named', 'AB      '],
  ['misnamed', 'any text: the logical type counts, not the name'],
])('G6 accepts a constant that the column %s can hold: %s', (column, value) => {
  expect(mistakes(column, value)).toEqual([]);
});
