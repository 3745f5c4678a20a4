import { TidemarkError } from '@tidemark/protocol/errors';
import type { ColumnSchema, TableSchema } from '@tidemark/protocol/schema';
import { ident, type Writer } from './sqlite.ts';

const typeOf = (column: ColumnSchema) => column.type.toUpperCase();

/** A column as `CREATE TABLE` and `ADD COLUMN` take it. */
export const columnSql = (column: ColumnSchema) => `${ident(column.name)} ${typeOf(column)}`;

/** SQL that creates a table of this schema, in `database` when named. One without a key has no primary key. */
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
 * Makes the indexes that table `id` has besides its key, in the main database, and drops those of ours that it should
 * not have. One over all columns makes deleting a row of a table without a key a seek. One that is right stays, under
 * the name that it has.
 */
export function ensureIndexes(db: Writer, id: number, schema: TableSchema): void {
  for (const sql of indexChanges(db, id, schema)) db.exec(sql);
}

/**
 * The SQL that {@link ensureIndexes} runs; none when the indexes are right. What another program made under a name that
 * one of ours needs goes: names that begin with `tidemark_` are ours.
 */
export function indexChanges(db: Writer, id: number, schema: TableSchema): string[] {
  const standing = db
    .prepare(
      "SELECT name, sql FROM main.sqlite_schema WHERE type = 'index' AND lower(tbl_name) = lower(?) AND name LIKE 'tidemark\\_%' ESCAPE '\\'",
    )
    .all(schema.name) as { name: string; sql: string }[];
  const wanted = indexesOf(id, schema).map((index) => ({
    ...index,
    on: `ON ${ident(schema.name)} (${index.columns})`,
  }));
  const serves = (sql: string, on: string) => sql.startsWith('CREATE INDEX ') && sql.endsWith(` ${on}`);
  // One that bears the name of another would keep that one from being made.
  const misnamed = (name: string, sql: string) =>
    wanted.some((index) => index.name === name.toLowerCase() && !serves(sql, index.on));
  const right = standing.filter(({ name, sql }) => wanted.some(({ on }) => serves(sql, on)) && !misnamed(name, sql));
  const missing = wanted.filter(({ on }) => !right.some(({ sql }) => serves(sql, on)));
  const wrong = standing.filter((index) => !right.includes(index)).map(({ name }) => name);
  const dropped = new Set([...wrong, ...missing.map(({ name }) => name)]);
  return [
    ...[...dropped].flatMap((name) => dropSql(db, name)),
    ...missing.map(({ name, on }) => `CREATE INDEX main.${ident(name)} ${on}`),
  ];
}

/** The SQL that removes what stands under a name of ours, whatever another program made of it; none when it is free. */
function dropSql(db: Writer, name: string): string[] {
  const found = db
    .prepare(
      "SELECT type, name FROM main.sqlite_schema WHERE lower(name) = lower(?) AND type IN ('table', 'view', 'index')",
    )
    .all(name) as { type: string; name: string }[];
  return found.map((object) => `DROP ${object.type.toUpperCase()} main.${ident(object.name)}`);
}

/** Removes what stands under a name of ours, whatever another program made of it. */
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

/** Quoted names as SQL lists them. */
export const columnList = (names: string[]) => names.map(ident).join(', ');

/** Names that SQLite takes for the rowid, unless a column has them. */
export const ROWID_NAMES = new Set(['rowid', '_rowid_', 'oid']);

/** A name by which SQL reaches the rowid of a table whose columns may have taken the usual one. */
export function rowidOf(schema: TableSchema): string {
  const taken = new Set(schema.columns.map(({ name }) => name.toLowerCase()));
  const free = [...ROWID_NAMES].find((name) => !taken.has(name));
  if (free === undefined)
    throw new TidemarkError('page_invalid', {
      detail: `the table ${schema.name} has no key, and columns named rowid, _rowid_ and oid`,
    });
  return free;
}
