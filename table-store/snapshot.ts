import { closeSync, fsyncSync, openSync, statSync } from 'node:fs';
import { type Cursor, Epoch } from '@tidemark/protocol/cursor';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { ScopeSet } from '@tidemark/protocol/page';
import { TableSchema } from '@tidemark/protocol/schema';
import { databaseError } from './database-error.ts';
import { ensureFormat } from './format.ts';
import { accepted, INTEGER, query, row, SEQ, TEXT, UNKNOWN } from './query.ts';
import { ident, openWriter, type Writer } from './sqlite.ts';
import { requireStoredSchema, storedForm } from './stored-schema.ts';
import { columnList, createTableSql, ensureIndexes } from './table-ddl.ts';
import { saveTableList } from './table-list.ts';

/**
 * Builds snapshots from the relay's mirror. A snapshot is a file in the format of a replica, with one set of scopes at
 * one seq.
 *
 * The mirror is attached and read in one transaction, so that rows and cursor belong together while the relay continues
 * to write. A snapshot is checked and synced to disk before the builder returns it. It may be incomplete until then, so
 * the caller passes a temporary name and renames the file. The mirror is never written.
 */

const CURSOR = row({ epoch: accepted('an epoch', Epoch), seq: SEQ, committed_at: TEXT });
const MIRRORED = row({ id: INTEGER, name: TEXT, schema: UNKNOWN });

/** The largest number of pages of a SQLite file. */
const MOST_PAGES = 0xff_ff_ff_fe;

/** The part of one table that a snapshot contains. */
export interface SnapshotPart {
  /** The columns of the snapshot's table, including the key. Null: all. */
  columns: string[] | null;
  /**
   * SQL condition that selects the rows. `TRUE`: all rows. The condition names other tables with the prefix `mirror.`.
   */
  where: string;
  /** Values of the `?` in `where`. */
  params: (string | number | bigint | null)[];
  /** Additional indexes, each by its columns. */
  indexes: string[][];
}

/** The input of a snapshot. It is plain data that can be sent to another thread. */
export interface SnapshotSource {
  /** Path of the mirror, which has the feed's tables and `tidemark_table`. */
  mirror: string;
  feed: string;
  scopes: ScopeSet;
  /** SQL that returns epoch, seq and committed_at of the mirror, which is attached as `mirror`. */
  cursorSql: string;
  /**
   * Tables, by name, that the snapshot contains only in part. Null: the snapshot does not contain the table. It
   * contains all other tables completely.
   */
  tables: Record<string, SnapshotPart | null>;
}

/** A table of the snapshot. */
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
 * Writes a snapshot into a new file, checks it, and syncs it to disk. Throws `disk_full` if the disk is full or the file
 * would exceed `maxBytes`, `db_*`, or `internal` when the check fails.
 */
export function buildSnapshot(source: SnapshotSource, file: string, maxBytes = Number.MAX_SAFE_INTEGER): BuiltSnapshot {
  const db = openWriter(file, { synchronous: 'normal' });
  try {
    db.pragma('journal_mode = OFF');
    db.pragma('synchronous = OFF');
    ensureFormat(db, source.feed);
    const pageBytes = Number(db.pragma('page_size', { simple: true }));
    db.pragma(`max_page_count = ${Math.min(MOST_PAGES, Math.max(1, Math.floor(maxBytes / pageBytes)))}`);
    db.prepare('ATTACH ? AS mirror').run(source.mirror);
    db.exec('BEGIN');
    const { epoch, seq, committed_at: committedAt } = query(db, source.cursorSql, CURSOR).one();
    const mirrored = query(db, 'SELECT id, name, schema FROM mirror.tidemark_table ORDER BY name', MIRRORED).all();
    const tables = mirrored.flatMap(({ id, name, schema }) => {
      const part = Object.hasOwn(source.tables, name) ? source.tables[name] : ALL_OF_IT;
      return part ? [copy(db, id, requireStoredSchema(db, schema, name), part)] : [];
    });
    db.prepare('UPDATE main.tidemark_meta SET epoch = ?, seq = ?, committed_at = ?, scopes = ?').run(
      epoch,
      seq,
      committedAt,
      source.scopes,
    );
    saveTableList(db);
    db.exec('COMMIT; DETACH mirror');
    const checked = db.pragma('quick_check(1)', { simple: true });
    if (checked !== 'ok')
      throw new TidemarkError('internal', { detail: `the snapshot does not pass its check: ${String(checked)}` });
    db.close();
    sync(file);
    return {
      cursor: { epoch, seq },
      committedAt,
      bytes: statSync(file).size,
      rows: tables.reduce((sum, table) => sum + table.rows, 0),
      tables,
    };
  } catch (error) {
    // Other errors may concern the mirror, so they do not name this file.
    const coded = databaseError(file, error);
    throw coded instanceof TidemarkError && coded.code === 'disk_full' ? coded : error;
  } finally {
    if (db.open) db.close();
  }
}

const ALL_OF_IT: SnapshotPart = { columns: null, where: 'TRUE', params: [], indexes: [] };

function copy(db: Writer, id: number, full: TableSchema, part: SnapshotPart): BuiltTable {
  const schema = projectedSchema(full, part.columns, part.indexes);
  const { name } = schema;
  db.exec(createTableSql(schema));
  const columns = columnList(schema.columns.map((column) => column.name));
  const from = `mirror.${ident(name)}`;
  // Without column names and a condition, SQLite copies rows without decoding them.
  const rows =
    schema.columns.length === full.columns.length && part.where === 'TRUE'
      ? `SELECT * FROM ${from}`
      : `(${columns}) SELECT ${columns} FROM ${from} WHERE ${part.where}`;
  const { changes } = db.prepare(`INSERT INTO main.${ident(name)} ${rows}`).run(part.params);
  // Creating indexes after the rows is faster than filling a table that has them.
  ensureIndexes(db, id, schema);
  db.prepare('INSERT INTO main.tidemark_table (id, name, schema, rows) VALUES (?, ?, ?, ?)').run(
    id,
    name,
    storedForm(schema),
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
