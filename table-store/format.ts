import { TidemarkError } from '@tidemark/protocol/errors';
import { hasInvalidCursor } from './cursor-state.ts';
import { ADD_COMPACTION_AND_TABLE_LIST } from './migrations/002-compaction-and-table-list.ts';
import { ADD_TABLES_SET_ASIDE } from './migrations/003-tables-set-aside.ts';
import type { Migration } from './migrations/migration.ts';
import { createOwnTables, hasTableStatus, missingColumns, OWN_TABLES, type OwnTable } from './own-tables.ts';
import { exists, FLAG, orNull, query, UNKNOWN, value } from './query.ts';
import { type Reader, transaction, type Writer } from './sqlite.ts';
import { hasLostTables, listedTables, saveTableList } from './table-list.ts';

/**
 * The file format of a replica: recognises it, creates it, migrates it, and repairs it after other programs damaged it.
 *
 * A snapshot has the same format: the relay builds it with all of these tables, and a terminal without tables installs
 * the file unchanged. This package therefore defines the tables for cursor, spool, history and samples too, although
 * only terminals use them.
 *
 * Order of {@link ensureFormat}: reject a newer format, another application or another feed before anything is written;
 * then, in one transaction, migrate, create missing tables, and clear an invalid cursor. A lost or invalid cursor is
 * never guessed: a replica without one gets a fresh copy.
 */

/** SQLite's application_id of a replica: 'Tide' in ASCII. */
const APPLICATION_ID = 0x54696465;
/** The newest format, in SQLite's user_version. */
export const FORMAT_VERSION = 3;
/** A larger version is not that of a newer program but of a damaged file. */
const MOST_VERSION = 0xffff;

/** All migrations, oldest first. */
const MIGRATIONS: readonly Migration[] = [ADD_COMPACTION_AND_TABLE_LIST, ADD_TABLES_SET_ASIDE];

/**
 * Creates the format in a new database. Checks an existing one and migrates it. Throws `db_newer_version`,
 * `db_other_feed`, `name_clash`, `db_unavailable` and leaves the file unchanged.
 */
export function ensureFormat(db: Writer, feed: string): void {
  if (checkFormat(db) === null) refuseForeign(db);
  else requireFeed(db, feed);
  if (isCurrent(db, feed)) return;
  transaction(db, () => {
    for (const { up } of MIGRATIONS) up(db);
    createOwnTables(db);
    db.prepare('INSERT OR IGNORE INTO tidemark_meta (one, feed) VALUES (1, ?)').run(feed);
    // A file without data may have been created for a feed to which the relay then denied access.
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

/** Rejects a database that belongs to another application or that uses our names. */
function refuseForeign(db: Writer): void {
  if (db.pragma('application_id', { simple: true }) !== 0)
    throw new TidemarkError('db_unavailable', { file: db.name, detail: 'it belongs to another application' });
  // SQLite cannot attach a snapshot, which is in UTF-8, to such a database.
  if (db.pragma('encoding', { simple: true }) !== 'UTF-8')
    throw new TidemarkError('db_unavailable', { file: db.name, detail: 'its text encoding is not UTF-8' });
  if (exists(db, "SELECT 1 FROM sqlite_schema WHERE lower(name) LIKE 'tidemark\\_%' ESCAPE '\\'"))
    throw new TidemarkError('name_clash', { table: 'tidemark_*' });
}

function isCurrent(db: Writer, feed: string): boolean {
  return (
    db.pragma('application_id', { simple: true }) === APPLICATION_ID &&
    db.pragma('user_version', { simple: true }) === FORMAT_VERSION &&
    OWN_TABLES.every((table) => missingColumns(db, table).length === 0) &&
    hasTableStatus(db) &&
    query(db, 'SELECT feed = ? AND tables IS NOT NULL FROM tidemark_meta', value(orNull(FLAG))).get(feed) === 1 &&
    !hasInvalidCursor(db) &&
    !hasLostTables(db)
  );
}

/**
 * Marks a replica as damaged: its version becomes negative. A program that does not know the mark uses the file as
 * before.
 */
export function markDamaged(db: Writer): void {
  db.pragma(`user_version = ${-FORMAT_VERSION}`);
}

export function isMarkedDamaged(db: Writer | Reader): boolean {
  return Number(db.pragma('user_version', { simple: true })) < 0;
}

/** Returns the format version of a replica. Null when the database is not a replica yet. Throws `db_newer_version`. */
export function checkFormat(db: Writer | Reader): number | null {
  const id = db.pragma('application_id', { simple: true });
  // Dumping and restoring a replica removes its mark and its version.
  const isUnmarked = () => isReadable(db, 'tidemark_meta') && isReadable(db, 'tidemark_table');
  if (id !== APPLICATION_ID && !(id === 0 && isUnmarked())) return null;
  const version = Number(db.pragma('user_version', { simple: true }));
  if (version > MOST_VERSION)
    throw new TidemarkError('db_damaged', { file: db.name, detail: `its format has the number ${version}` });
  if (version > FORMAT_VERSION)
    throw new TidemarkError('db_newer_version', { file: db.name, found: version, known: FORMAT_VERSION });
  return version;
}

/** Whether one of our tables can be read, at least in an older format. For files that are open only for reading. */
export function isReadable(db: Reader | Writer, table: OwnTable): boolean {
  const added = MIGRATIONS.flatMap(({ adds }) => (adds.table === table ? adds.columns : []));
  return missingColumns(db, table).every((column) => added.includes(column));
}

/** Throws `db_other_feed` or `db_damaged` unless the replica belongs to the feed, names no feed, or holds no data yet. */
export function requireFeed(db: Writer | Reader, feed: string): void {
  const otherFeed = (found: string) => new TidemarkError('db_other_feed', { file: db.name, found, expected: feed });
  if (checkFormat(db) === null) throw otherFeed('none');
  if (!isReadable(db, 'tidemark_meta')) return;
  const found = query(db, 'SELECT feed FROM tidemark_meta', value(UNKNOWN)).get();
  if (found === undefined || found === feed || isEmpty(db)) return;
  if (typeof found === 'string') throw otherFeed(found);
  // The column is NOT NULL and text, so SQL cannot have written this value.
  throw new TidemarkError('db_damaged', { file: db.name, detail: 'the name of its data set is unreadable' });
}

/** Whether a replica holds no data and has not lost any. */
function isEmpty(db: Writer | Reader): boolean {
  const own: OwnTable[] = ['tidemark_meta', 'tidemark_table'];
  if (own.some((table) => missingColumns(db, table).length > 0)) return false;
  const sql = 'SELECT epoch IS NULL AND NOT EXISTS (SELECT 1 FROM tidemark_table) FROM tidemark_meta';
  return query(db, sql, value(orNull(FLAG))).get() === 1 && listedTables(db).length === 0;
}
