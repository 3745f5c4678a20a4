import { TidemarkError } from '@tidemark/protocol/errors';
import type { ColumnSchema, TableSchema } from '@tidemark/protocol/schema';
import { ident, type Writer } from './sqlite.ts';
import { clearName, columnList, columnSql, createTableSql, ensureIndexes, ROWID_NAMES } from './table-ddl.ts';
import { restoreObjects, thirdPartyObjects } from './third-party-objects.ts';

/** What a table becomes: see AlterLine. */
export interface Alteration {
  from: TableSchema;
  /** Id and schema that it gets. */
  id: number;
  to: TableSchema;
  /** Of each new column the old one whose values it takes; null: NULL. */
  columns: (string | null)[];
}

const BESIDE = 'tidemark_altered';

/**
 * Alters a table that holds rows, inside the caller's transaction. What other programs made of it stays: views are
 * neither read nor rewritten, their indexes and triggers are made again. Returns the names of those that the new table
 * does not allow, which are gone. Throws page_invalid, name_clash.
 */
export function alterTable(db: Writer, alteration: Alteration): string[] {
  check(alteration);
  const legacy = db.pragma('legacy_alter_table', { simple: true });
  // Else a view of another program that names a table which is not there fails the renaming, and one that does is rewritten.
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
    clearName(db, BESIDE);
    move(from, BESIDE);
    move(BESIDE, to);
    return;
  }
  if (db.prepare('SELECT 1 FROM main.sqlite_schema WHERE lower(name) = lower(?)').get(to))
    throw new TidemarkError('name_clash', { table: to });
  move(from, to);
}

/** Whether the old columns stay as they are, where they are. SQLite appends no column whose name could be the rowid's. */
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
  const foreign = thirdPartyObjects(db, to.name);
  const values = to.columns.map((column, at) => valueSql(from, columns[at] ?? null, column));
  clearName(db, BESIDE);
  db.exec(createTableSql({ ...to, name: BESIDE }));
  db.exec(
    `INSERT INTO main.${BESIDE} (${columnList(to.columns.map(({ name }) => name))}) SELECT ${values.join(', ')} FROM main.${ident(to.name)}`,
  );
  db.exec(`DROP TABLE main.${ident(to.name)}`);
  db.exec(`ALTER TABLE main.${BESIDE} RENAME TO ${ident(to.name)}`);
  return restoreObjects(db, foreign);
}

/** Affinity turns a value into its column's type, but leaves blobs as they are and makes none. */
function valueSql(from: TableSchema, old: string | null, column: ColumnSchema): string {
  if (old === null) return 'NULL';
  const before = from.columns.find(({ name }) => name === old)?.type;
  if (before !== column.type && column.type === 'blob') return `CAST(${ident(old)} AS BLOB)`;
  return before !== column.type && before === 'blob' ? `CAST(${ident(old)} AS TEXT)` : ident(old);
}
