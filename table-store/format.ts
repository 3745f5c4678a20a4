import { TidemarkError } from '@tidemark/protocol/errors';
import { hasInvalidCursor } from './cursor-state.ts';
import { type Reader, transaction, type Writer } from './sqlite.ts';
import { clearName } from './table-ddl.ts';

/** 'Tide' in ASCII: marks a file as a replica, in SQLite's application_id. */
const APPLICATION_ID = 0x54696465;
/** Version of the `tidemark_*` tables, in SQLite's user_version. */
export const FORMAT_VERSION = 2;

/** Our tables besides those of the feed, and their columns. */
const TABLES: Record<string, string[]> = {
  tidemark_meta: [
    'one INTEGER PRIMARY KEY CHECK (one = 1)',
    'feed TEXT NOT NULL',
    'epoch TEXT',
    'seq INTEGER NOT NULL DEFAULT 0',
    'part INTEGER NOT NULL DEFAULT 0',
    'committed_at TEXT',
    'scopes TEXT',
    // Target of the squashed pages whose parts are in the spool; NULL: those of an ordinary transaction are.
    'squashed INTEGER',
    // JSON array of the names of tidemark_table, by which it is noticed that another program removed some.
    'tables TEXT',
  ],
  tidemark_table: [
    'id INTEGER PRIMARY KEY',
    'name TEXT NOT NULL UNIQUE',
    'schema TEXT NOT NULL',
    'rows INTEGER NOT NULL',
  ],
  tidemark_spool: ['n INTEGER PRIMARY KEY', 'body BLOB NOT NULL'],
  tidemark_status: [
    'one INTEGER PRIMARY KEY CHECK (one = 1)',
    'feed TEXT NOT NULL',
    'epoch TEXT',
    'seq INTEGER',
    'committed_at TEXT',
    'checked_at TEXT',
    'synced_at TEXT',
    'head_seq INTEGER',
    'waiting INTEGER',
    'code TEXT',
    'headline TEXT',
  ],
  tidemark_run: ['id TEXT PRIMARY KEY', 'started_at TEXT NOT NULL', 'run TEXT NOT NULL'],
  tidemark_sample: ['at INTEGER PRIMARY KEY', 'waiting INTEGER', 'lag_ms REAL', 'source_lag_ms REAL'],
};
const RUN_INDEX = 'CREATE INDEX tidemark_run_started ON tidemark_run (started_at)';
/** Columns that format 2 added to tidemark_meta. */
const ADDED = ['squashed', 'tables'];

const nameOf = (column: string) => column.slice(0, column.indexOf(' '));
const createSql = (table: string) => `CREATE TABLE IF NOT EXISTS ${table} (${TABLES[table]?.join(', ')})`;

/** SQL that makes the table of tables, which a mirror has too. */
export const TABLE_DDL = createSql('tidemark_table');

/**
 * Makes a database ours, or checks that it is and that we know its format. What is ours and was removed or spoilt by
 * another program is made anew; a cursor that was lost is none, so that a fresh copy follows. Throws db_newer_version,
 * db_other_feed, name_clash, db_unavailable.
 */
export function ensureFormat(db: Writer, feed: string): void {
  if (checkFormat(db) === null) refuseForeign(db);
  else requireFeed(db, feed);
  if (isRight(db, feed)) return;
  transaction(db, () => {
    for (const table of Object.keys(TABLES)) ensureTable(db, table);
    clearName(db, 'tidemark_run_started');
    db.exec(RUN_INDEX);
    db.prepare('INSERT OR IGNORE INTO tidemark_meta (one, feed) VALUES (1, ?)').run(feed);
    // What holds no data yet may have been begun for another feed, which the relay refused.
    for (const table of ['tidemark_meta', 'tidemark_status']) db.prepare(`UPDATE ${table} SET feed = ?`).run(feed);
    if (hasInvalidCursor(db) || lostTables(db))
      db.exec(
        'UPDATE tidemark_meta SET epoch = NULL, seq = 0, part = 0, committed_at = NULL, scopes = NULL, squashed = NULL; DELETE FROM tidemark_spool',
      );
    if (db.prepare('SELECT tables FROM tidemark_meta').pluck().get() === null) saveTables(db);
    db.pragma(`application_id = ${APPLICATION_ID}`);
    db.pragma(`user_version = ${FORMAT_VERSION}`);
  });
}

function refuseForeign(db: Writer): void {
  if (db.pragma('application_id', { simple: true }) !== 0)
    throw new TidemarkError('db_unavailable', { file: db.name, detail: 'it belongs to another application' });
  if (db.prepare("SELECT 1 FROM sqlite_schema WHERE lower(name) LIKE 'tidemark\\_%' ESCAPE '\\'").get())
    throw new TidemarkError('name_clash', { table: 'tidemark_*' });
}

function isRight(db: Writer, feed: string): boolean {
  return (
    db.pragma('application_id', { simple: true }) === APPLICATION_ID &&
    db.pragma('user_version', { simple: true }) === FORMAT_VERSION &&
    Object.keys(TABLES).every((table) => lacking(db, table).length === 0) &&
    db.prepare('SELECT feed = ? AND tables IS NOT NULL FROM tidemark_meta').pluck().get(feed) === 1 &&
    !hasInvalidCursor(db) &&
    !lostTables(db)
  );
}

function ensureTable(db: Writer, table: string): void {
  const lacks = lacking(db, table);
  if (lacks.length === 0) return;
  if (table === 'tidemark_meta' && lacks.every((column) => ADDED.includes(nameOf(column)))) {
    for (const column of lacks) db.exec(`ALTER TABLE tidemark_meta ADD COLUMN ${column}`);
    return;
  }
  clearName(db, table);
  db.exec(createSql(table));
}

/** The columns that a table of ours should have and has not; all when there is no such table. */
function lacking(db: Writer | Reader, table: string): string[] {
  const columns = TABLES[table] ?? [];
  const type = db
    .prepare("SELECT type FROM main.sqlite_schema WHERE lower(name) = ? AND type <> 'trigger'")
    .pluck()
    .get(table);
  if (type !== 'table') return columns;
  const there = new Set(db.prepare("SELECT name FROM pragma_table_info(?, 'main')").pluck().all(table));
  return columns.filter((column) => !there.has(nameOf(column)));
}

/** Whether a table of ours can be read; in a file that was not opened for writing nothing is made anew. */
export function isReadable(db: Reader | Writer, table: string): boolean {
  return lacking(db, table).every((column) => ADDED.includes(nameOf(column)));
}

/** Whether rows of tidemark_table were removed. */
function lostTables(db: Writer): boolean {
  const known = db.prepare('SELECT name FROM tidemark_table').pluck().all() as string[];
  return rememberedTables(db).some((name) => !known.includes(name));
}

/** Notes which tables are the feed's. To be called when they change, in the same transaction. */
export function saveTables(db: Writer): void {
  db.exec(
    'UPDATE tidemark_meta SET tables = (SELECT json_group_array(name) FROM (SELECT name FROM tidemark_table ORDER BY name))',
  );
}

/** Names of the tables that the feed had here when they last changed. */
export function rememberedTables(db: Writer | Reader): string[] {
  return db
    .prepare(
      "SELECT value FROM tidemark_meta, json_each(CASE WHEN json_valid(tables) THEN tables ELSE '[]' END) WHERE json_each.type = 'text'",
    )
    .pluck()
    .all() as string[];
}

/** Throws db_other_feed unless the database is a replica of the feed, says of none, or holds no data yet. */
export function requireFeed(db: Writer | Reader, feed: string): void {
  const other = (found: string) => new TidemarkError('db_other_feed', { file: db.name, found, expected: feed });
  if (checkFormat(db) === null) throw other('none');
  const found = isReadable(db, 'tidemark_meta')
    ? (db.prepare('SELECT feed FROM tidemark_meta').pluck().get() as string | undefined)
    : undefined;
  if (found !== undefined && found !== feed && !isEmpty(db)) throw other(found);
}

/** Whether a replica holds no data, and has lost none. */
function isEmpty(db: Writer | Reader): boolean {
  if (['tidemark_meta', 'tidemark_table'].some((table) => lacking(db, table).length > 0)) return false;
  const sql = 'SELECT epoch IS NULL AND NOT EXISTS (SELECT 1 FROM tidemark_table) FROM tidemark_meta';
  return db.prepare(sql).pluck().get() === 1 && rememberedTables(db).length === 0;
}

/** The format version of a replica; null when the database is not (yet) ours. Throws db_newer_version. */
export function checkFormat(db: Writer | Reader): number | null {
  const id = db.pragma('application_id', { simple: true });
  // A replica that was dumped and restored has lost its mark.
  const unmarked = () => isReadable(db, 'tidemark_meta') && isReadable(db, 'tidemark_table');
  if (id !== APPLICATION_ID && !(id === 0 && unmarked())) return null;
  const version = Number(db.pragma('user_version', { simple: true }));
  if (version > FORMAT_VERSION)
    throw new TidemarkError('db_newer_version', { file: db.name, found: version, known: FORMAT_VERSION });
  return version;
}
