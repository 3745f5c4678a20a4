import { renameSync, rmSync, statfsSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Cursor } from '@tidemark/protocol/cursor';
import { diskFullError, TidemarkError } from '@tidemark/protocol/errors';
import { TableSchema } from '@tidemark/protocol/schema';
import { inspectTable } from '@tidemark/table-store/existing-table';
import { checkFormat, ensureFormat, rememberedTables, saveTables } from '@tidemark/table-store/format';
import { guard, ident, openReader, openWriter, transaction, type Writer } from '@tidemark/table-store/sqlite';
import { createTableSql, ensureIndexes } from '@tidemark/table-store/table-ddl';
import { restoreObjects, type ThirdPartyObject, thirdPartyObjects } from '@tidemark/table-store/third-party-objects';

/** What a snapshot must be, from its manifest. */
export interface SnapshotName {
  feed: string;
  cursor: Cursor;
}

/** What putting it in place did. */
export interface Installed {
  /** The connection to go on with. */
  db: Writer;
  /** Names of indexes and triggers of other programs that the new tables do not allow; they are gone. */
  dropped: string[];
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
 * Puts a snapshot in place of the feed's tables and cursor, in one step. A replica without tables takes the file itself; another one takes the rows in one transaction, so
 * that what other programs made stays and readers see the old data until the new is whole.
 */
export function installSnapshot(db: Writer, snapshot: string, name: SnapshotName): Installed {
  const tables = check(snapshot, name);
  const others = db
    .prepare(
      "SELECT count(*) AS n FROM sqlite_schema WHERE name NOT LIKE 'tidemark\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )
    .get() as { n: number };
  return others.n === 0 ? { db: takeFile(db, snapshot, name.feed), dropped: [] } : takeRows(db, snapshot, tables);
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

function takeFile(db: Writer, snapshot: string, feed: string): Writer {
  const file = db.name;
  const options = { synchronous: 'normal' } as const;
  const ready = openWriter(snapshot, options);
  try {
    // A relay may write an older format than ours.
    ensureFormat(ready, feed);
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

function takeRows(db: Writer, snapshot: string, tables: SnapshotTable[]): Installed {
  requireSpace(db, snapshot);
  const fresh = tables.map((table) => ({ ...table, schema: TableSchema.parse(JSON.parse(table.schema)) }));
  db.prepare('ATTACH ? AS fresh').run(snapshot);
  try {
    const dropped = transaction(db, () => {
      const foreign = clear(db, fresh);
      const add = db.prepare('INSERT INTO main.tidemark_table (id, name, schema, rows) VALUES (?, ?, ?, ?)');
      for (const { id, schema, rows } of fresh) {
        fill(db, id, schema);
        add.run(id, schema.name, JSON.stringify(schema), rows);
      }
      db.exec(`UPDATE main.tidemark_meta SET part = 0, squashed = NULL,
        (epoch, seq, committed_at, scopes) = (SELECT epoch, seq, committed_at, scopes FROM fresh.tidemark_meta)`);
      saveTables(db);
      return restoreObjects(db, foreign);
    });
    return { db, dropped };
  } finally {
    db.exec('DETACH fresh');
  }
}

function requireSpace(db: Writer, snapshot: string): void {
  const needed = statSync(snapshot).size + SPARE_BYTES;
  const disk = statfsSync(path.dirname(db.name));
  const free = disk.bavail * disk.bsize;
  if (free < needed) throw diskFullError(free, needed);
}

/** Drops the tables of the feed, whatever they are now, and what stands in the way of the new ones and is ours. Returns what other programs made on them. */
function clear(db: Writer, fresh: { schema: TableSchema }[]): ThirdPartyObject[] {
  const known = db.prepare('SELECT name FROM main.tidemark_table').pluck().all() as string[];
  const lost = fresh.map(({ schema }) => schema).filter((schema) => inspectTable(db, schema) === 'same');
  const ours = new Set([...known, ...rememberedTables(db), ...lost.map(({ name }) => name)]);
  const foreign: ThirdPartyObject[] = [];
  for (const name of ours) {
    // A view of that name is another program's.
    if (!db.prepare("SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND lower(name) = lower(?)").get(name))
      continue;
    foreign.push(...thirdPartyObjects(db, name));
    db.exec(`DROP TABLE main.${ident(name)}`);
  }
  db.exec('DELETE FROM main.tidemark_table; DELETE FROM main.tidemark_spool');
  return foreign;
}

function fill(db: Writer, id: number, schema: TableSchema): void {
  const { name } = schema;
  if (db.prepare('SELECT 1 FROM main.sqlite_schema WHERE lower(name) = lower(?)').get(name))
    throw new TidemarkError('name_clash', { table: name });
  db.exec(createTableSql(schema));
  // Without the columns' names SQLite copies the rows without taking them apart.
  db.exec(`INSERT INTO main.${ident(name)} SELECT * FROM fresh.${ident(name)}`);
  ensureIndexes(db, id, schema);
}
