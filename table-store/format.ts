import { TidemarkError } from '@tidemark/protocol/errors';
import { hasInvalidCursor } from './cursor-state.ts';
import { ADD_COMPACTION_AND_TABLE_LIST } from './migrations/002-compaction-and-table-list.ts';
import type { Migration } from './migrations/migration.ts';
import { createOwnTables, missingColumns, OWN_TABLES, type OwnTable } from './own-tables.ts';
import { exists, FLAG, orNull, query, UNKNOWN, value } from './query.ts';
import { type Reader, transaction, type Writer } from './sqlite.ts';
import { hasLostTables, listedTables, saveTableList } from './table-list.ts';

/**
 * The file format of a replica: recognises it, creates it, migrates it, and repairs it after other programs.
 *
 * A snapshot is a replica's file: the relay builds it with all of these tables, and a terminal without tables puts it in
 * place unchanged. The format therefore belongs to this package, with cursor, spool, history and samples, although only
 * terminals use those.
 *
 * Order of {@link ensureFormat}: refuse a newer format, another application or another feed before anything is written;
 * then, in one transaction, migrate, create missing tables, and clear a cursor that cannot be right. A lost or invalid
 * cursor is never guessed: without one, a fresh copy follows.
 */

/** 'Tide' in ASCII: marks a file as a replica, in SQLite's application_id. */
const APPLICATION_ID = 0x54696465;
/** The newest format, in SQLite's user_version. */
export const FORMAT_VERSION = 2;

/** Oldest first. */
const MIGRATIONS: readonly Migration[] = [ADD_COMPACTION_AND_TABLE_LIST];

/**
 * Creates the format in a new database, or checks it and brings it up to date in an old one. Throws `db_newer_version`,
 * `db_other_feed`, `name_clash`, `db_unavailable`; the file is then unchanged.
 */
export function ensureFormat(db: Writer, feed: string): void {
  if (checkFormat(db) === null) refuseForeign(db);
  else requireFeed(db, feed);
  if (isCurrent(db, feed)) return;
  transaction(db, () => {
    for (const { up } of MIGRATIONS) up(db);
    createOwnTables(db);
    db.prepare('INSERT OR IGNORE INTO tidemark_meta (one, feed) VALUES (1, ?)').run(feed);
    // A file without data may have been created for another feed, to which the relay then refused access.
    for (const table of ['tidemark_meta', 'tidemark_status']) db.prepare(`UPDATE ${table} SET feed = ?`).run(feed);
    if (hasInvalidCursor(db) || hasLostTables(db))
      db.exec(
        'UPDATE tidemark_meta SET epoch = NULL, seq = 0, part = 0, committed_at = NULL, scopes = NULL, squashed = NULL; DELETE FROM tidemark_spool',
      );
    if (query(db, 'SELECT tables FROM tidemark_meta', value(UNKNOWN)).get() === null) saveTableList(db);
    db.pragma(`application_id = ${APPLICATION_ID}`);
    db.pragma(`user_version = ${FORMAT_VERSION}`);
  });
}

/** Refuses a database that is another application's, or that uses names of ours. */
function refuseForeign(db: Writer): void {
  if (db.pragma('application_id', { simple: true }) !== 0)
    throw new TidemarkError('db_unavailable', { file: db.name, detail: 'it belongs to another application' });
  if (exists(db, "SELECT 1 FROM sqlite_schema WHERE lower(name) LIKE 'tidemark\\_%' ESCAPE '\\'"))
    throw new TidemarkError('name_clash', { table: 'tidemark_*' });
}

function isCurrent(db: Writer, feed: string): boolean {
  return (
    db.pragma('application_id', { simple: true }) === APPLICATION_ID &&
    db.pragma('user_version', { simple: true }) === FORMAT_VERSION &&
    OWN_TABLES.every((table) => missingColumns(db, table).length === 0) &&
    query(db, 'SELECT feed = ? AND tables IS NOT NULL FROM tidemark_meta', value(orNull(FLAG))).get(feed) === 1 &&
    !hasInvalidCursor(db) &&
    !hasLostTables(db)
  );
}

/** The format version of a replica; null when the database is not a replica yet. Throws `db_newer_version`. */
export function checkFormat(db: Writer | Reader): number | null {
  const id = db.pragma('application_id', { simple: true });
  // A replica that was dumped and restored has lost its mark and its version.
  const isUnmarked = () => isReadable(db, 'tidemark_meta') && isReadable(db, 'tidemark_table');
  if (id !== APPLICATION_ID && !(id === 0 && isUnmarked())) return null;
  const version = Number(db.pragma('user_version', { simple: true }));
  if (version > FORMAT_VERSION)
    throw new TidemarkError('db_newer_version', { file: db.name, found: version, known: FORMAT_VERSION });
  return version;
}

/** Whether a table of ours can be read, at least in an older format. For files that are open only for reading. */
export function isReadable(db: Reader | Writer, table: OwnTable): boolean {
  const added = MIGRATIONS.flatMap(({ adds }) => (adds.table === table ? adds.columns : []));
  return missingColumns(db, table).every((column) => added.includes(column));
}

/** Throws `db_other_feed` unless the database is a replica of the feed, names no feed, or holds no data yet. */
export function requireFeed(db: Writer | Reader, feed: string): void {
  const otherFeed = (found: string) => new TidemarkError('db_other_feed', { file: db.name, found, expected: feed });
  if (checkFormat(db) === null) throw otherFeed('none');
  if (!isReadable(db, 'tidemark_meta')) return;
  const found = query(db, 'SELECT feed FROM tidemark_meta', value(UNKNOWN)).get();
  if (found !== undefined && found !== feed && !isEmpty(db)) throw otherFeed(String(found));
}

/** Whether a replica holds no data, and has lost none. */
function isEmpty(db: Writer | Reader): boolean {
  const own: OwnTable[] = ['tidemark_meta', 'tidemark_table'];
  if (own.some((table) => missingColumns(db, table).length > 0)) return false;
  const sql = 'SELECT epoch IS NULL AND NOT EXISTS (SELECT 1 FROM tidemark_table) FROM tidemark_meta';
  return query(db, sql, value(orNull(FLAG))).get() === 1 && listedTables(db).length === 0;
}
