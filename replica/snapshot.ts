import { closeSync, fsyncSync, openSync, statSync } from 'node:fs';
import type { Cursor } from '@tidemark/protocol/cursor.ts';
import { TidemarkError } from '@tidemark/protocol/errors.ts';
import { TableSchema } from '@tidemark/protocol/schema.ts';
import { ensureFormat } from './format.ts';
import { ident, openWriter } from './sqlite.ts';
import { createTableSql, ensureIndexes } from './table-ddl.ts';

/** What a snapshot is built of: the mirror's file, read at one moment. */
export interface SnapshotSource {
  /** File of the mirror: feed tables and `tidemark_table`. */
  mirror: string;
  feed: string;
  scopes: string;
  /** SQL that gives epoch, seq and committed_at of the mirror, in the same read transaction as its rows; `mirror.` is its database. */
  standingSql: string;
  /** Parts of tables; a table that is not named goes whole. */
  tables: Record<string, SnapshotPart>;
}

/** What of a table a snapshot holds. `where`: SQL on the mirror's table. */
export interface SnapshotPart {
  columns: string[] | null;
  indexes: string[][];
  where: string;
  params: (string | number | bigint | null)[];
}

export interface BuiltSnapshot {
  cursor: Cursor;
  committedAt: string;
  bytes: number;
  rows: number;
  tables: { id: number; name: string; rows: number; schema: TableSchema }[];
}

/**
 * Writes a snapshot of all tables of a mirror into a new file, checks it, and syncs it to disk. The caller
 * names a temporary file and renames it. Throws disk_full, db_*, or internal when the check fails.
 */
export function buildSnapshot(source: SnapshotSource, file: string): BuiltSnapshot {
  const db = openWriter(file, { synchronous: 'normal' });
  try {
    db.pragma('journal_mode = OFF');
    db.pragma('synchronous = OFF');
    ensureFormat(db, source.feed);
    db.prepare('ATTACH ? AS mirror').run(source.mirror);
    db.exec('BEGIN');
    const standing = db.prepare(source.standingSql).get() as Cursor & { committed_at: string };
    const mirrored = db.prepare('SELECT id, name, schema, rows FROM mirror.tidemark_table ORDER BY name').all() as {
      id: number;
      name: string;
      schema: string;
      rows: number;
    }[];
    db.exec(
      'CREATE TABLE main.tidemark_table (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, schema TEXT NOT NULL, rows INTEGER NOT NULL)',
    );
    const tables = mirrored.map((table) => {
      const part = source.tables[table.name];
      const whole = TableSchema.parse(JSON.parse(table.schema));
      const schema: TableSchema = part
        ? {
            ...whole,
            columns: whole.columns.filter(({ name }) => part.columns?.includes(name) ?? true),
            ...(part.indexes.length > 0 ? { indexes: part.indexes } : {}),
          }
        : whole;
      db.exec(createTableSql(schema));
      const columns = schema.columns.map((column) => ident(column.name)).join(', ');
      const { changes } = db
        .prepare(
          `INSERT INTO main.${ident(table.name)} (${columns}) SELECT ${columns} FROM mirror.${ident(table.name)} WHERE ${part?.where ?? 'TRUE'}`,
        )
        .run(...(part?.params ?? []));
      ensureIndexes(db, table.id, schema);
      db.prepare('INSERT INTO main.tidemark_table (id, name, schema, rows) VALUES (?, ?, ?, ?)').run(
        table.id,
        table.name,
        JSON.stringify(schema),
        changes,
      );
      return { id: table.id, name: table.name, rows: changes, schema };
    });
    db.prepare('UPDATE main.tidemark_meta SET epoch = ?, seq = ?, committed_at = ?, scopes = ?').run(
      standing.epoch,
      standing.seq,
      standing.committed_at,
      source.scopes,
    );
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

function sync(file: string): void {
  const handle = openSync(file, 'r+');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
