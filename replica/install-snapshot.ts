import { renameSync, rmSync, statfsSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Cursor } from '@tidemark/protocol/cursor.ts';
import { TidemarkError } from '@tidemark/protocol/errors.ts';
import { TableSchema } from '@tidemark/protocol/schema.ts';
import { checkFormat } from './format.ts';
import { guard, ident, openReader, openWriter, transaction, type Writer } from './sqlite.ts';
import { createTableSql, ensureIndexes } from './table-ddl.ts';

/** What a snapshot must be, from its manifest. */
export interface SnapshotName {
  feed: string;
  cursor: Cursor;
}

interface SnapshotTable {
  id: number;
  name: string;
  schema: string;
  rows: number;
}

const HISTORY = ['tidemark_run', 'tidemark_sample'] as const;

/** Free bytes that a copy must leave on the disk. */
const SPARE_BYTES = 16 * 1024 * 1024;

/**
 * Puts a snapshot in place of the feed's tables and cursor, in one step. Returns the connection to go on
 * with. A replica without tables takes the file itself; another one takes the rows in one transaction, so
 * that tables of other programs stay and readers see the old data until the new is whole.
 */
export function installSnapshot(db: Writer, snapshot: string, name: SnapshotName): Writer {
  const tables = check(snapshot, name);
  const others = db
    .prepare(
      "SELECT count(*) AS n FROM sqlite_schema WHERE name NOT LIKE 'tidemark\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )
    .get() as { n: number };
  return others.n === 0 ? takeFile(db, snapshot) : takeRows(db, snapshot, tables);
}

function check(snapshot: string, name: SnapshotName): SnapshotTable[] {
  try {
    const reader = openReader(snapshot);
    try {
      const meta = reader.prepare('SELECT feed, epoch, seq FROM tidemark_meta').get() as {
        feed: string;
        epoch: string;
        seq: number;
      };
      if (
        checkFormat(reader) === null ||
        meta.feed !== name.feed ||
        meta.epoch !== name.cursor.epoch ||
        meta.seq !== name.cursor.seq
      ) {
        throw new TidemarkError('snapshot_corrupt');
      }
      return reader.prepare('SELECT id, name, schema, rows FROM tidemark_table').all() as SnapshotTable[];
    } finally {
      reader.close();
    }
  } catch (error) {
    if (error instanceof TidemarkError && error.code === 'db_newer_version') throw error;
    throw error instanceof TidemarkError && error.code === 'snapshot_corrupt'
      ? error
      : new TidemarkError('snapshot_corrupt', {}, error);
  }
}

function takeFile(db: Writer, snapshot: string): Writer {
  const file = db.name;
  const options = { synchronous: 'normal' } as const;
  const ready = openWriter(snapshot, options);
  try {
    ready.prepare('ATTACH ? AS old').run(file);
    for (const table of HISTORY) ready.exec(`INSERT OR IGNORE INTO main.${table} SELECT * FROM old.${table}`);
    ready.exec('DETACH old');
    ready.pragma('wal_checkpoint(TRUNCATE)');
  } finally {
    ready.close();
  }
  db.close();
  guard(file, () => {
    for (const suffix of ['-wal', '-shm']) rmSync(file + suffix, { force: true });
    renameSync(snapshot, file);
  });
  return openWriter(file, options);
}

function takeRows(db: Writer, snapshot: string, tables: SnapshotTable[]): Writer {
  const needed = statSync(snapshot).size + SPARE_BYTES;
  const disk = statfsSync(path.dirname(db.name));
  const free = disk.bavail * disk.bsize;
  if (free < needed) {
    throw new TidemarkError('disk_full', { detail: `${megabytes(free)} free, about ${megabytes(needed)} needed` });
  }
  db.prepare('ATTACH ? AS fresh').run(snapshot);
  try {
    transaction(db, () => {
      for (const { name } of db.prepare('SELECT name FROM tidemark_table').all() as { name: string }[])
        db.exec(`DROP TABLE IF EXISTS main.${ident(name)}`);
      db.exec('DELETE FROM tidemark_table; DELETE FROM tidemark_spool');
      const add = db.prepare('INSERT INTO main.tidemark_table (id, name, schema, rows) VALUES (?, ?, ?, ?)');
      for (const table of tables) {
        if (db.prepare('SELECT 1 FROM main.sqlite_schema WHERE lower(name) = lower(?)').get(table.name))
          throw new TidemarkError('name_clash', { table: table.name });
        const schema = TableSchema.parse(JSON.parse(table.schema));
        db.exec(createTableSql(schema));
        const columns = schema.columns.map((column) => ident(column.name)).join(', ');
        db.exec(`INSERT INTO main.${ident(table.name)} (${columns}) SELECT ${columns} FROM fresh.${ident(table.name)}`);
        ensureIndexes(db, table.id, schema);
        add.run(table.id, table.name, table.schema, table.rows);
      }
      db.exec(`UPDATE main.tidemark_meta SET part = 0,
        (epoch, seq, committed_at, scopes) = (SELECT epoch, seq, committed_at, scopes FROM fresh.tidemark_meta)`);
    });
  } finally {
    db.exec('DETACH fresh');
  }
  return db;
}

const megabytes = (bytes: number) => `${Math.ceil(bytes / 1_048_576)} MB`;
