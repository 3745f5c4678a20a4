import type { TableSchema } from '@tidemark/protocol/schema';
import { ident, type Reader, type Writer } from './sqlite.ts';

/** What stands in a database under a name of the feed. A view is always another program's. */
export type ExistingTable = 'same' | 'other' | 'view' | 'none';

interface Column {
  name: string;
  type: string;
  notnull: 0 | 1;
  pk: number;
  hidden: number;
}

/** All that the definition of a table of ours says, besides names. */
const OUR_WORDS = new Set('CREATE TABLE PRIMARY KEY NOT NULL INTEGER NUMERIC REAL TEXT BLOB'.split(' '));

/** Whether a table stands in the main database as a schema says: other programs may have altered, dropped or replaced it. */
export function inspectTable(db: Reader | Writer, schema: TableSchema): ExistingTable {
  const found = db
    .prepare(
      "SELECT type, name, sql FROM main.sqlite_schema WHERE lower(name) = lower(?) AND type IN ('table', 'view')",
    )
    .get(schema.name) as { type: string; name: string; sql: string } | undefined;
  if (!found) return 'none';
  if (found.type === 'view') return 'view';
  if (found.name !== schema.name || !isPlain(found.sql)) return 'other';
  const columns = db.prepare(`PRAGMA main.table_xinfo(${ident(schema.name)})`).all() as Column[];
  if (columns.length !== schema.columns.length) return 'other';
  const same = schema.columns.every((wanted, i) => {
    const column = columns[i];
    const place = schema.key.indexOf(wanted.name) + 1;
    return (
      column?.name === wanted.name &&
      column.type === wanted.type.toUpperCase() &&
      column.pk === place &&
      column.notnull === (place > 0 ? 1 : 0) &&
      column.hidden === 0
    );
  });
  return same ? 'same' : 'other';
}

/** Whether a definition holds nothing but columns and a primary key: no check, collation, default or reference. */
function isPlain(sql: string): boolean {
  const words = sql.replace(/"(?:[^"]|"")*"/g, '').match(/[^\s(),]+/g) ?? [];
  return words.every((word) => OUR_WORDS.has(word));
}

/** Unique indexes that other programs made on a table: they may refuse rows that the feed holds. */
export function thirdPartyUniqueIndexes(db: Reader | Writer, table: string): string[] {
  const all = db.prepare(`PRAGMA main.index_list(${ident(table)})`).all() as {
    name: string;
    unique: 0 | 1;
    origin: string;
  }[];
  return all.filter(({ unique, origin }) => unique === 1 && origin === 'c').map(({ name }) => name);
}
