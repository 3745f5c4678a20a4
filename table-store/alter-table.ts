import { TidemarkError } from '@tidemark/protocol/errors';
import type { ColumnSchema, TableSchema } from '@tidemark/protocol/schema';
import { exists } from './query.ts';
import { ident, type Writer } from './sqlite.ts';
import { clearName, columnList, columnSql, createTableSql, ensureIndexes, ROWID_NAMES } from './table-ddl.ts';
import { restoreObjects, thirdPartyObjects } from './third-party-objects.ts';

/**
 * Alters a table of the feed and keeps its rows, as an `a` line of the feed requires (docs/protocol.md).
 *
 * A table that only gains columns at the end is altered in place. Any other table is built under a temporary name and
 * then renamed. Objects of other programs survive if the new table allows them: views are neither read nor rewritten,
 * and indexes and triggers are created again. This module works inside the caller's transaction.
 */
export interface Alteration {
  from: TableSchema;
  /** Id and schema of the table after the alteration. */
  id: number;
  to: TableSchema;
  /** For each new column, the old column that supplies its values. Null: the new column is NULL. */
  columns: (string | null)[];
}

/** Temporary name of a table that is being rebuilt or renamed. */
const SCRATCH_NAME = 'tidemark_altered';

/**
 * Alters a table. Returns the names of third-party indexes and triggers that the new table does not allow. Throws
 * `page_invalid`, `name_clash`.
 */
export function alterTable(db: Writer, alteration: Alteration): string[] {
  check(alteration);
  const legacy = db.pragma('legacy_alter_table', { simple: true });
  // Without this setting, SQLite rewrites the views that name the table, and the rename fails if any view names a
  // missing table.
  db.pragma('legacy_alter_table = ON');
  try {
    rename(db, alteration.from.name, alteration.to.name);
    const dropped = onlyAppends(alteration) ? append(db, alteration) : rebuild(db, alteration);
    ensureIndexes(db, alteration.id, alteration.to);
    return dropped;
  } finally {
    db.pragma(`legacy_alter_table = ${legacy}`);
  }
}

function check({ from, to, columns }: Alteration): void {
  const invalid = (detail: string) =>
    new TidemarkError('page_invalid', { detail: `the table ${from.name} is altered wrongly: ${detail}` });
  if (columns.length !== to.columns.length) throw invalid(`${columns.length} columns instead of ${to.columns.length}`);
  columns.forEach((old, at) => {
    const name = to.columns[at]?.name ?? '';
    if (old === null && to.key.includes(name)) throw invalid(`its key column ${name} gets no values`);
    if (old !== null && !from.columns.some((column) => column.name === old)) throw invalid(`it has no column ${old}`);
  });
}

function rename(db: Writer, from: string, to: string): void {
  if (from === to) return;
  const move = (a: string, b: string) => db.exec(`ALTER TABLE main.${ident(a)} RENAME TO ${ident(b)}`);
  if (from.toLowerCase() === to.toLowerCase()) {
    clearName(db, SCRATCH_NAME);
    move(from, SCRATCH_NAME);
    move(SCRATCH_NAME, to);
    return;
  }
  if (exists(db, 'SELECT 1 FROM main.sqlite_schema WHERE lower(name) = lower(?)', to))
    throw new TidemarkError('name_clash', { table: to });
  move(from, to);
}

/**
 * Whether all old columns keep their name, type and place, so that SQLite can append the new ones. SQLite cannot append
 * a column whose name is a name of the rowid.
 */
function onlyAppends({ from, to, columns }: Alteration): boolean {
  const appended = to.columns.slice(from.columns.length);
  return (
    JSON.stringify(from.key) === JSON.stringify(to.key) &&
    from.columns.every(({ name, type }, at) => {
      const now = to.columns[at];
      return now?.name === name && now.type === type && columns[at] === name;
    }) &&
    appended.every(({ name }, at) => columns[from.columns.length + at] === null && !ROWID_NAMES.has(name.toLowerCase()))
  );
}

function append(db: Writer, { from, to }: Alteration): string[] {
  for (const column of to.columns.slice(from.columns.length))
    db.exec(`ALTER TABLE main.${ident(to.name)} ADD COLUMN ${columnSql(column)}`);
  return [];
}

function rebuild(db: Writer, { from, to, columns }: Alteration): string[] {
  const thirdParty = thirdPartyObjects(db, to.name);
  const values = to.columns.map((column, at) => valueSql(from, columns[at] ?? null, column));
  clearName(db, SCRATCH_NAME);
  db.exec(createTableSql({ ...to, name: SCRATCH_NAME }));
  db.exec(
    `INSERT INTO main.${SCRATCH_NAME} (${columnList(to.columns.map(({ name }) => name))}) SELECT ${values.join(', ')} FROM main.${ident(to.name)}`,
  );
  db.exec(`DROP TABLE main.${ident(to.name)}`);
  db.exec(`ALTER TABLE main.${SCRATCH_NAME} RENAME TO ${ident(to.name)}`);
  return restoreObjects(db, thirdParty);
}

/**
 * Returns SQL for the value of a new column. Column affinity converts between all types except blobs, so blobs need a
 * cast.
 */
function valueSql(from: TableSchema, old: string | null, column: ColumnSchema): string {
  if (old === null) return 'NULL';
  const before = from.columns.find(({ name }) => name === old)?.type;
  if (before !== column.type && column.type === 'blob') return `CAST(${ident(old)} AS BLOB)`;
  return before !== column.type && before === 'blob' ? `CAST(${ident(old)} AS TEXT)` : ident(old);
}
