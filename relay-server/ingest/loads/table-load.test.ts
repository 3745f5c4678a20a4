import { rmSync } from 'node:fs';
import path from 'node:path';
import type { ChangeLine, WireRow } from '@tidemark/protocol/lines';
import type { TableSchema } from '@tidemark/protocol/schema';
import { FeedTables } from '@tidemark/table-store/feed-tables';
import { toWire } from '@tidemark/table-store/row-statements';
import { ident, openWriter, type Writer } from '@tidemark/table-store/sqlite';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Routers } from '../../routing/routers.ts';
import { type Loaded, TableLoad } from './table-load.ts';

let folder: string;
let relay: Side;
let terminal: Side;

/** A database with the tables of a feed. */
class Side {
  readonly db: Writer;
  readonly tables: FeedTables;

  constructor(file: string) {
    this.db = openWriter(file, { synchronous: 'normal' });
    this.tables = new FeedTables(this.db);
  }

  applyLine(line: ChangeLine, schemas: Map<number, TableSchema>): void {
    const schema = line[0] === 'x' ? undefined : schemas.get(line[1]);
    if (schema && line[0] !== 'x') this.tables.declare(line[1], schema, line[0] !== 'a');
    this.tables.apply(line);
  }

  rows(table: string): string[] {
    const all = this.db
      .prepare(`SELECT * FROM ${ident(table)}`)
      .safeIntegers()
      .raw()
      .all() as unknown[][];
    return all.map((row) => JSON.stringify(row.map(toWire))).sort();
  }

  get names(): string[] {
    return this.tables.list().map(({ schema }) => schema.name);
  }
}

beforeEach(() => {
  folder = temporaryFolder('load');
  relay = new Side(path.join(folder, 'relay.sqlite'));
  terminal = new Side(path.join(folder, 'terminal.sqlite'));
});
afterEach(() => {
  for (const { db } of [relay, terminal]) db.close();
  rmSync(folder, { recursive: true, force: true });
});

const schemaOf = (name: string, columns: string[], key: string[]): TableSchema => ({
  name,
  columns: columns.map((column) => ({ name: column, type: column === 'id' ? 'integer' : 'text', source: 'text' })),
  key,
});

/** Creates these tables with these rows on both sides. */
function hold(schemas: Map<number, TableSchema>, rows: Map<number, WireRow[]>): void {
  for (const side of [relay, terminal])
    for (const [id, schema] of schemas) {
      side.tables.declare(id, schema);
      side.tables.apply(['i', id, rows.get(id) ?? []]);
    }
}

/** Loads a table into the relay's mirror as one transaction, and applies the logged lines at the terminal. */
function load(loaded: Loaded, rows: WireRow[], schemas: Map<number, TableSchema>): ChangeLine[] {
  schemas.set(loaded.id, loaded.schema);
  const routers = new Routers({});
  for (const [id, schema] of schemas) routers.bind(id, schema);
  const lines: ChangeLine[] = [];
  const one = new TableLoad(relay.db, relay.tables, routers, loaded);
  one.insert(rows);
  one.finish((line) => {
    relay.applyLine(line, schemas);
    lines.push(line);
  });
  for (const line of lines) terminal.applyLine(line, schemas);
  return lines;
}

const kinds = (lines: ChangeLine[]) =>
  lines.map(([kind, , rows]) => (Array.isArray(rows) ? `${kind}${rows.length}` : kind));
const texts = fc.option(fc.constantFrom('', 'a', 'b', '1', '1.0'), { nil: null });

test('F11: after a load, the mirror and a terminal that applied the log hold exactly the loaded rows', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(9), texts, texts), { maxLength: 20 }),
      fc.array(fc.tuple(fc.nat(9), texts, texts), { maxLength: 20 }),
      fc.boolean(),
      fc.constantFrom<(string | null)[]>(['id', 'a', 'b'], ['id', 'b', 'a'], ['id', null, 'a'], ['id', 'b', null]),
      fc.constantFrom('t', 'T', 'renamed'),
      (before, after, keyed, columns, name) => {
        for (const side of [relay, terminal]) for (const old of side.names) side.tables.apply(['x', old]);
        const key = keyed ? ['id'] : [];
        const once = (rows: WireRow[]) => (keyed ? [...new Map(rows.map((row) => [row[0], row])).values()] : rows);
        const schemas = new Map([[1, schemaOf('t', ['id', 'a', 'b'], key)]]);
        hold(schemas, new Map([[1, once(before)]]));
        const schema = schemaOf(name, ['id', 'a', 'b'], key);
        load({ id: 2, schema, from: 1, columns }, once(after), schemas);
        const wanted = once(after)
          .map((row) => JSON.stringify(row))
          .sort();
        for (const side of [relay, terminal]) {
          expect(side.names).toEqual([name]);
          expect(side.rows(name)).toEqual(wanted);
          expect(side.tables.list()[0]?.rows).toBe(wanted.length);
        }
      },
    ),
    { numRuns: 150 },
  );
});

const ROWS: WireRow[] = Array.from({ length: 500 }, (_, n) => [n, `a${n}`, null]);

test('F11: renaming a table and a column is one change and sends no unchanged rows', () => {
  const schemas = new Map([[1, schemaOf('t', ['id', 'a', 'b'], ['id'])]]);
  hold(schemas, new Map([[1, ROWS]]));
  const schema = schemaOf('u', ['id', 'c', 'b'], ['id']);
  expect(kinds(load({ id: 2, schema, from: 1, columns: ['id', 'a', 'b'] }, ROWS, schemas))).toEqual(['a']);
  expect(kinds(load({ id: 2, schema, from: 2, columns: ['id', 'c', 'b'] }, ROWS, schemas))).toEqual([]);
});

test('F11: a table with another key is a new table: it sends all rows and drops the old table', () => {
  const schemas = new Map([[1, schemaOf('t', ['id', 'a', 'b'], ['id'])]]);
  hold(schemas, new Map([[1, ROWS.slice(0, 3)]]));
  const schema = schemaOf('u', ['id', 'a', 'b'], ['id', 'a']);
  const lines = load({ id: 2, schema, from: 1, columns: ['id', 'a', 'b'] }, ROWS.slice(0, 3), schemas);
  expect(kinds(lines)).toEqual(['x', 'r', 'i3']);
  expect(terminal.names).toEqual(['u']);
});

test('F11: when two tables swap their names, one keeps its rows and the other sends all of them', () => {
  const schemas = new Map([
    [1, schemaOf('t', ['id', 'a', 'b'], ['id'])],
    [2, schemaOf('u', ['id', 'a', 'b'], ['id'])],
  ]);
  const [few, many] = [ROWS.slice(0, 3), ROWS.slice(0, 9)];
  hold(
    schemas,
    new Map([
      [1, few],
      [2, many],
    ]),
  );
  const columns = ['id', 'a', 'b'];
  const first = load({ id: 3, schema: schemaOf('u', columns, ['id']), from: 1, columns }, few, schemas);
  const second = load({ id: 4, schema: schemaOf('t', columns, ['id']), from: 2, columns }, many, schemas);
  expect([kinds(first), kinds(second)]).toEqual([
    ['x', 'a'],
    ['r', 'i9'],
  ]);
  for (const side of [relay, terminal]) {
    expect(side.rows('u')).toHaveLength(3);
    expect(side.rows('t')).toHaveLength(9);
  }
});
