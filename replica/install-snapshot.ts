import { renameSync, rmSync, statfsSync, statSync } from 'node:fs';
import path from 'node:path';
import { diskFullError, TidemarkError } from '@tidemark/protocol/errors';
import type { TableSchema } from '@tidemark/protocol/schema';
import { inspectTable } from '@tidemark/table-store/existing-table';
import { ensureFormat } from '@tidemark/table-store/format';
import { exists, query, TEXT, value } from '@tidemark/table-store/query';
import { guard, ident, openWriter, transaction, type Writer } from '@tidemark/table-store/sqlite';
import { storedForm } from '@tidemark/table-store/stored-schema';
import { createTableSql, ensureIndexes } from '@tidemark/table-store/table-ddl';
import { listedTables, saveTableList } from '@tidemark/table-store/table-list';
import { restoreObjects, type ThirdPartyObject, thirdPartyObjects } from '@tidemark/table-store/third-party-objects';
import type { CheckedSnapshot } from './checked-snapshot.ts';
import { saveDataColumns } from './status-row.ts';

/**
 * Replaces a replica's tables and cursor with those of a downloaded snapshot, in one step.
 *
 * If the replica has no tables, the snapshot's file becomes the replica: the replica's history is copied into the file,
 * which is then renamed. Any other replica receives the rows in one transaction, so that objects of other programs
 * survive and readers see the old data until the new data is complete. See
 * docs/decisions/2026-11-23-install-first-snapshot-by-rename.md.
 */

export interface Installed {
  /** The connection to use from now on. */
  db: Writer;
  /** Names of third-party indexes and triggers that were dropped, because the new tables do not allow them. */
  dropped: string[];
}

/** Tables that a replica keeps when a snapshot's file replaces its file. */
const HISTORY = ['tidemark_run', 'tidemark_sample'] as const;

/** Columns of `tidemark_status` that a new copy does not change. */
const KEPT_STATUS = 'one, feed, checked_at, synced_at, head_seq, waiting, code, headline';

const setAsideIn = (tables: CheckedSnapshot['tables']): number =>
  tables.filter(({ schema }) => schema.setAside !== undefined).length;

/** Number of bytes that must stay free on the disk while rows are copied. */
const SPARE_BYTES = 16 * 1024 * 1024;

/** Installs a snapshot. Throws `name_clash`, `disk_full`, `db_*`. */
export function installSnapshot(db: Writer, snapshot: CheckedSnapshot): Installed {
  const hasTables = exists(
    db,
    "SELECT 1 FROM sqlite_schema WHERE name NOT LIKE 'tidemark\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
  );
  return hasTables ? takeRows(db, snapshot) : { db: takeFile(db, snapshot), dropped: [] };
}

/** Renames the snapshot's file to the replica's name. */
function takeFile(db: Writer, { file: snapshot, name: { feed }, tables }: CheckedSnapshot): Writer {
  const file = db.name;
  const options = { synchronous: 'normal' } as const;
  const fresh = openWriter(snapshot, options);
  try {
    // A relay of an older version may write an older format.
    ensureFormat(fresh, feed);
    fresh.prepare('ATTACH ? AS old').run(file);
    transaction(fresh, () => {
      for (const table of HISTORY) fresh.exec(`INSERT OR IGNORE INTO main.${table} SELECT * FROM old.${table}`);
      fresh.exec(
        `INSERT OR REPLACE INTO main.tidemark_status (${KEPT_STATUS}) SELECT ${KEPT_STATUS} FROM old.tidemark_status`,
      );
      saveDataColumns(fresh, setAsideIn(tables));
    });
    fresh.exec('DETACH old');
    fresh.pragma('wal_checkpoint(TRUNCATE)');
  } finally {
    fresh.close();
  }
  db.close();
  guard(file, () => {
    for (const suffix of ['-wal', '-shm']) rmSync(file + suffix, { force: true });
    renameSync(snapshot, file);
  });
  return openWriter(file, options);
}

/** Copies the snapshot's rows into the replica's file. */
function takeRows(db: Writer, { file: snapshot, tables }: CheckedSnapshot): Installed {
  requireSpace(db, snapshot);
  db.prepare('ATTACH ? AS fresh').run(snapshot);
  try {
    const dropped = transaction(db, () => {
      const thirdParty = dropFeedTables(db, tables);
      const add = db.prepare('INSERT INTO main.tidemark_table (id, name, schema, rows) VALUES (?, ?, ?, ?)');
      for (const { id, schema, rows } of tables) {
        fill(db, id, schema);
        add.run(id, schema.name, storedForm(schema), rows);
      }
      db.exec(`UPDATE main.tidemark_meta SET part = 0, squashed = NULL,
        (epoch, seq, committed_at, scopes) = (SELECT epoch, seq, committed_at, scopes FROM fresh.tidemark_meta)`);
      saveTableList(db);
      saveDataColumns(db, setAsideIn(tables));
      return restoreObjects(db, thirdParty);
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

/**
 * Drops the feed's tables, even altered ones, and tables whose row another program removed from our list. Returns the
 * objects of other programs on these tables.
 */
function dropFeedTables(db: Writer, fresh: readonly { schema: TableSchema }[]): ThirdPartyObject[] {
  const known = query(db, "SELECT name FROM main.tidemark_table WHERE typeof(name) = 'text'", value(TEXT)).all();
  // A table that matches one of the new schemas is ours, even when neither list names it.
  const unlisted = fresh.map(({ schema }) => schema).filter((schema) => inspectTable(db, schema) === 'matches');
  const ours = new Set([...known, ...listedTables(db), ...unlisted.map(({ name }) => name)]);
  const thirdParty: ThirdPartyObject[] = [];
  for (const name of ours) {
    // A view with that name belongs to another program.
    if (!exists(db, "SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND lower(name) = lower(?)", name)) continue;
    thirdParty.push(...thirdPartyObjects(db, name));
    db.exec(`DROP TABLE main.${ident(name)}`);
  }
  db.exec('DELETE FROM main.tidemark_table; DELETE FROM main.tidemark_spool');
  return thirdParty;
}

/** Creates a table of the snapshot and copies its rows. */
function fill(db: Writer, id: number, schema: TableSchema): void {
  const { name } = schema;
  if (exists(db, 'SELECT 1 FROM main.sqlite_schema WHERE lower(name) = lower(?)', name))
    throw new TidemarkError('name_clash', { table: name });
  db.exec(createTableSql(schema));
  // Without column names SQLite copies rows without decoding them.
  db.exec(`INSERT INTO main.${ident(name)} SELECT * FROM fresh.${ident(name)}`);
  ensureIndexes(db, id, schema);
}
