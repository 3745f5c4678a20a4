import { closeSync, fsyncSync, openSync, statSync } from 'node:fs';
import type { Cursor } from '@tidemark/protocol/cursor';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { ScopeSet } from '@tidemark/protocol/page';
import { TableSchema } from '@tidemark/protocol/schema';
import { ensureFormat, saveTables } from './format.ts';
import { ident, openWriter, type Writer } from './sqlite.ts';
import { columnList, createTableSql, ensureIndexes } from './table-ddl.ts';

/** What of one table goes into a snapshot. */
export interface SnapshotPart {
  /** The columns that go in; null: all. The key is among them. */
  columns: string[] | null;
  /** SQL that holds for the rows that go in, `TRUE` for all. Other tables in it are to be named with their database, `mirror.`. */
  where: string;
  /** Values of its `?`. */
  params: (string | number | bigint | null)[];
  /** Further indexes, each by its columns. */
  indexes: string[][];
}

/** What a snapshot is built of: the mirror's file, read at one moment. Plain data, which may go to another thread. */
export interface SnapshotSource {
  /** File of the mirror: feed tables and `tidemark_table`. */
  mirror: string;
  feed: string;
  scopes: ScopeSet;
  /** SQL that gives epoch, seq and committed_at of the mirror, in the same read transaction as its rows; `mirror.` is its database. */
  cursorSql: string;
  /** By name, the tables that do not go in whole; null: it does not go in at all. */
  tables: Record<string, SnapshotPart | null>;
}

/** A table as the snapshot has it. */
export interface BuiltTable {
  id: number;
  name: string;
  rows: number;
  schema: TableSchema;
}

export interface BuiltSnapshot {
  cursor: Cursor;
  committedAt: string;
  bytes: number;
  rows: number;
  tables: BuiltTable[];
}

function projectedSchema(schema: TableSchema, columns: string[] | null, indexes: string[][]): TableSchema {
  const kept = columns === null ? schema.columns : schema.columns.filter(({ name }) => columns.includes(name));
  return TableSchema.parse({ ...schema, columns: kept, ...(indexes.length > 0 ? { indexes } : {}) });
}

/**
 * Writes a snapshot of the tables of a mirror, or of parts of them, into a new file, checks it, and syncs it to disk. The
 * caller names a temporary file and renames it. Throws disk_full, db_*, or internal when the check fails.
 */
export function buildSnapshot(source: SnapshotSource, file: string): BuiltSnapshot {
  const db = openWriter(file, { synchronous: 'normal' });
  try {
    db.pragma('journal_mode = OFF');
    db.pragma('synchronous = OFF');
    ensureFormat(db, source.feed);
    db.prepare('ATTACH ? AS mirror').run(source.mirror);
    db.exec('BEGIN');
    const standing = db.prepare(source.cursorSql).get() as Cursor & { committed_at: string };
    const mirrored = db.prepare('SELECT id, name, schema FROM mirror.tidemark_table ORDER BY name').all() as {
      id: number;
      name: string;
      schema: string;
    }[];
    const tables = mirrored.flatMap(({ id, name, schema }) => {
      const part = Object.hasOwn(source.tables, name) ? source.tables[name] : WHOLE;
      return part ? [copy(db, id, TableSchema.parse(JSON.parse(schema)), part)] : [];
    });
    db.prepare('UPDATE main.tidemark_meta SET epoch = ?, seq = ?, committed_at = ?, scopes = ?').run(
      standing.epoch,
      standing.seq,
      standing.committed_at,
      source.scopes,
    );
    saveTables(db);
    db.exec('COMMIT; DETACH mirror');
    const checked = db.pragma('quick_check(1)', { simple: true });
    if (checked !== 'ok')
      throw new TidemarkError('internal', { detail: `the snapshot does not pass its check: ${String(checked)}` });
    db.close();
    sync(file);
    return {
      cursor: { epoch: standing.epoch, seq: standing.seq },
      committedAt: standing.committed_at,
      bytes: statSync(file).size,
      rows: tables.reduce((sum, table) => sum + table.rows, 0),
      tables,
    };
  } finally {
    if (db.open) db.close();
  }
}

const WHOLE: SnapshotPart = { columns: null, where: 'TRUE', params: [], indexes: [] };

function copy(db: Writer, id: number, whole: TableSchema, part: SnapshotPart): BuiltTable {
  const schema = projectedSchema(whole, part.columns, part.indexes);
  const { name } = schema;
  db.exec(createTableSql(schema));
  const columns = columnList(schema.columns.map((column) => column.name));
  const from = `mirror.${ident(name)}`;
  // Of a whole table, SQLite copies the rows without taking them apart when it is said so.
  const rows =
    schema.columns.length === whole.columns.length && part.where === 'TRUE'
      ? `SELECT * FROM ${from}`
      : `(${columns}) SELECT ${columns} FROM ${from} WHERE ${part.where}`;
  const { changes } = db.prepare(`INSERT INTO main.${ident(name)} ${rows}`).run(part.params);
  // Filling a table that has its indexes would take longer.
  ensureIndexes(db, id, schema);
  db.prepare('INSERT INTO main.tidemark_table (id, name, schema, rows) VALUES (?, ?, ?, ?)').run(
    id,
    name,
    JSON.stringify(schema),
    changes,
  );
  return { id, name, rows: changes, schema };
}

function sync(file: string): void {
  const handle = openSync(file, 'r+');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
