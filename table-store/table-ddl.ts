import { TidemarkError } from '@tidemark/protocol/errors';
import type { ColumnSchema, TableSchema } from '@tidemark/protocol/schema';
import { query, row, TEXT } from './query.ts';
import { ident, type Writer } from './sqlite.ts';

/**
 * SQL that creates a feed's tables and their indexes.
 *
 * Tables have the master's names, columns and key. Names of our indexes begin with the reserved prefix `tidemark_`. If
 * another program's object has a name that we need, it is dropped.
 */

const INDEX = row({ name: TEXT, sql: TEXT });
const OBJECT = row({ type: TEXT, name: TEXT });

const typeOf = (column: ColumnSchema) => column.type.toUpperCase();

/** Returns a column in the syntax of `CREATE TABLE` and `ADD COLUMN`. */
export const columnSql = (column: ColumnSchema) => `${ident(column.name)} ${typeOf(column)}`;

/**
 * Returns SQL that creates a table with this schema. `database`: the name of the attached database that receives it.
 */
export function createTableSql(schema: TableSchema, database = 'main'): string {
  const single = schema.key.length === 1 ? schema.key[0] : undefined;
  const columns = schema.columns.map((column) => {
    if (column.name === single) return `${columnSql(column)} PRIMARY KEY NOT NULL`;
    return `${columnSql(column)}${schema.key.includes(column.name) ? ' NOT NULL' : ''}`;
  });
  const key = schema.key.length > 1 ? [`PRIMARY KEY (${columnList(schema.key)})`] : [];
  return `CREATE TABLE ${ident(database)}.${ident(schema.name)} (${[...columns, ...key].join(', ')})`;
}

/**
 * Creates the indexes that table `id` needs in addition to its key, in the main database, and drops those of ours that
 * it does not need. A table without a key gets an index over all columns, so that deleting a row is a seek. An index
 * over the right columns is kept, whatever its name: after an alteration its name still contains the table's previous
 * id.
 */
export function ensureIndexes(db: Writer, id: number, schema: TableSchema): void {
  for (const sql of indexChanges(db, id, schema)) db.exec(sql);
}

/** Returns the SQL that {@link ensureIndexes} runs. Empty when the indexes are right. */
export function indexChanges(db: Writer, id: number, schema: TableSchema): string[] {
  const present = query(
    db,
    "SELECT name, sql FROM main.sqlite_schema WHERE type = 'index' AND lower(tbl_name) = lower(?) AND name LIKE 'tidemark\\_%' ESCAPE '\\'",
    INDEX,
  ).all(schema.name);
  const wanted = indexesOf(id, schema).map((index) => ({
    ...index,
    on: `ON ${ident(schema.name)} (${index.columns})`,
  }));
  const serves = (sql: string, on: string) => sql.startsWith('CREATE INDEX ') && sql.endsWith(` ${on}`);
  // An index under the name of another index would prevent the creation of that one.
  const misnamed = (name: string, sql: string) =>
    wanted.some((index) => index.name === name.toLowerCase() && !serves(sql, index.on));
  const right = present.filter(({ name, sql }) => wanted.some(({ on }) => serves(sql, on)) && !misnamed(name, sql));
  const missing = wanted.filter(({ on }) => !right.some(({ sql }) => serves(sql, on)));
  const wrong = present.filter((index) => !right.includes(index)).map(({ name }) => name);
  const dropped = new Set([...wrong, ...missing.map(({ name }) => name)]);
  return [
    ...[...dropped].flatMap((name) => dropSql(db, name)),
    ...missing.map(({ name, on }) => `CREATE INDEX main.${ident(name)} ${on}`),
  ];
}

/** Returns SQL that drops every object with this reserved name. Empty when the name is free. */
function dropSql(db: Writer, name: string): string[] {
  const found = query(
    db,
    "SELECT type, name FROM main.sqlite_schema WHERE lower(name) = lower(?) AND type IN ('table', 'view', 'index')",
    OBJECT,
  );
  return found.all(name).map((object) => `DROP ${object.type.toUpperCase()} main.${ident(object.name)}`);
}

/** Drops every object with this reserved name, so that we can use it. */
export function clearName(db: Writer, name: string): void {
  for (const sql of dropSql(db, name)) db.exec(sql);
}

function indexesOf(id: number, schema: TableSchema): { name: string; columns: string }[] {
  const known = new Set(schema.columns.map(({ name }) => name));
  const further = (schema.indexes ?? []).map((columns, n) => {
    const missing = columns.find((name) => !known.has(name));
    if (missing !== undefined)
      throw new TidemarkError('page_invalid', { detail: `an index of ${schema.name} names no column: ${missing}` });
    return { name: `tidemark_index_${id}_${n}`, columns: columnList(columns) };
  });
  if (schema.key.length > 0) return further;
  return [{ name: `tidemark_all_${id}`, columns: columnList([...known]) }, ...further];
}

/** Quotes names and separates them with commas. */
export const columnList = (names: string[]) => names.map(ident).join(', ');

/** The names of the rowid in SQLite. A column with one of these names hides it. */
export const ROWID_NAMES = new Set(['rowid', '_rowid_', 'oid']);

/** Returns a name of the rowid that no column of the table has. Throws `page_invalid` when columns have all three. */
export function rowidOf(schema: TableSchema): string {
  const taken = new Set(schema.columns.map(({ name }) => name.toLowerCase()));
  const free = [...ROWID_NAMES].find((name) => !taken.has(name));
  if (free === undefined)
    throw new TidemarkError('page_invalid', {
      detail: `the table ${schema.name} has no key, and columns named rowid, _rowid_ and oid`,
    });
  return free;
}
