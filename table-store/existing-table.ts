import type { TableSchema } from '@tidemark/protocol/schema';
import { FLAG, INTEGER, query, row, TEXT } from './query.ts';
import type { Reader, Writer } from './sqlite.ts';

/**
 * Compares the tables of a database with their schemas.
 *
 * Other programs can alter, drop or replace a table of the feed. A table matches only if its definition could have come
 * from `createTableSql`: any additional constraint, collation, default or reference could reject or change rows. This
 * module never changes a table.
 */

/**
 * The object that has the name of a feed table. `differs`: a table with another definition. `view`: a view, which
 * always belongs to another program.
 */
export type ExistingTable = 'matches' | 'differs' | 'view' | 'absent';

const OBJECT = row({ type: TEXT, name: TEXT, sql: TEXT });
const COLUMN = row({ name: TEXT, type: TEXT, notnull: FLAG, pk: INTEGER, hidden: INTEGER });
const INDEX = row({ name: TEXT, unique: FLAG, origin: TEXT });

/** All words, except names, in the definitions that `createTableSql` writes. */
const OUR_WORDS = new Set('CREATE TABLE PRIMARY KEY NOT NULL INTEGER NUMERIC REAL TEXT BLOB'.split(' '));

/** Compares the table with this name in the main database with a schema. Ignores indexes. */
export function inspectTable(db: Reader | Writer, schema: TableSchema): ExistingTable {
  const object = query(
    db,
    "SELECT type, name, sql FROM main.sqlite_schema WHERE lower(name) = lower(?) AND type IN ('table', 'view')",
    OBJECT,
  ).get(schema.name);
  if (!object) return 'absent';
  if (object.type === 'view') return 'view';
  if (object.name !== schema.name || !isPlain(object.sql)) return 'differs';
  const columns = query(
    db,
    `SELECT name, type, "notnull", pk, hidden FROM pragma_table_xinfo(?, 'main') ORDER BY cid`,
    COLUMN,
  ).all(schema.name);
  if (columns.length !== schema.columns.length) return 'differs';
  const matches = schema.columns.every((wanted, i) => {
    const column = columns[i];
    const keyPosition = schema.key.indexOf(wanted.name) + 1;
    return (
      column?.name === wanted.name &&
      column.type === wanted.type.toUpperCase() &&
      column.pk === keyPosition &&
      column.notnull === (keyPosition > 0 ? 1 : 0) &&
      column.hidden === 0
    );
  });
  return matches ? 'matches' : 'differs';
}

/** Whether a definition contains only columns and a primary key: no check, collation, default or reference. */
function isPlain(sql: string): boolean {
  const words = sql.replace(/"(?:[^"]|"")*"/g, '').match(/[^\s(),]+/g) ?? [];
  return words.every((word) => OUR_WORDS.has(word));
}

/** Returns the unique indexes that other programs created on a table. They can reject rows of the feed. */
export function thirdPartyUniqueIndexes(db: Reader | Writer, table: string): string[] {
  const all = query(db, `SELECT name, "unique", origin FROM pragma_index_list(?, 'main')`, INDEX).all(table);
  return all.filter(({ unique, origin }) => unique === 1 && origin === 'c').map(({ name }) => name);
}
