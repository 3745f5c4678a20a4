import { TidemarkError } from '@tidemark/protocol/errors.ts';
import { type Reader, transaction, type Writer } from './sqlite.ts';

/** 'Tide' in ASCII: marks a file as a replica, in SQLite's application_id. */
const APPLICATION_ID = 0x54696465;
/** Version of the `tidemark_*` tables, in SQLite's user_version. */
export const FORMAT_VERSION = 2;

const DDL = `
CREATE TABLE IF NOT EXISTS tidemark_meta (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  feed TEXT NOT NULL,
  epoch TEXT,
  seq INTEGER NOT NULL DEFAULT 0,
  part INTEGER NOT NULL DEFAULT 0,
  committed_at TEXT,
  scopes TEXT,
  -- What is spooled is of squashed pages, up to this seq; null: of ordinary ones.
  squashed INTEGER
);
CREATE TABLE IF NOT EXISTS tidemark_spool (n INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS tidemark_status (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  feed TEXT NOT NULL,
  epoch TEXT,
  seq INTEGER,
  committed_at TEXT,
  checked_at TEXT,
  synced_at TEXT,
  head_seq INTEGER,
  waiting INTEGER,
  code TEXT,
  headline TEXT
);
CREATE TABLE IF NOT EXISTS tidemark_run (id TEXT PRIMARY KEY, started_at TEXT NOT NULL, run TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS tidemark_run_started ON tidemark_run (started_at);
CREATE TABLE IF NOT EXISTS tidemark_sample (at INTEGER PRIMARY KEY, waiting INTEGER, lag_ms REAL, source_lag_ms REAL);
`;

/** What brings a database from one version of the format to the next. */
const MIGRATIONS: Record<number, string> = {
  1: 'ALTER TABLE tidemark_meta ADD COLUMN squashed INTEGER',
};

/** Makes a database ours, or checks that it is and that we know its format. Throws db_newer_version, db_other_feed, name_clash. */
export function ensureFormat(db: Writer, feed: string): void {
  const found = checkFormat(db);
  if (found === null && db.pragma('application_id', { simple: true }) !== 0) {
    throw new TidemarkError('db_unavailable', { file: db.name, detail: 'it belongs to another application' });
  }
  if (
    found === null &&
    db.prepare("SELECT 1 FROM sqlite_schema WHERE lower(name) LIKE 'tidemark\\_%' ESCAPE '\\'").get()
  ) {
    throw new TidemarkError('name_clash', { table: 'tidemark_*' });
  }
  if (found === null) {
    transaction(db, () => {
      db.exec(DDL);
      db.prepare('INSERT INTO tidemark_meta (one, feed) VALUES (1, ?)').run(feed);
      db.pragma(`application_id = ${APPLICATION_ID}`);
      db.pragma(`user_version = ${FORMAT_VERSION}`);
    });
    return;
  }
  requireFeed(db, feed);
  if (found !== FORMAT_VERSION) migrate(db, found);
}

function migrate(db: Writer, from: number): void {
  transaction(db, () => {
    for (let version = from; version < FORMAT_VERSION; version++) db.exec(MIGRATIONS[version] ?? '');
    db.pragma(`user_version = ${FORMAT_VERSION}`);
  });
}

/** Throws db_other_feed unless the database is a replica of the feed. */
export function requireFeed(db: Writer | Reader, feed: string): void {
  const meta =
    checkFormat(db) === null
      ? undefined
      : (db.prepare('SELECT feed FROM tidemark_meta').get() as { feed: string } | undefined);
  if (meta?.feed !== feed)
    throw new TidemarkError('db_other_feed', { file: db.name, found: meta?.feed ?? 'none', expected: feed });
}

/** The format version of a replica; null when the database is not (yet) ours. Throws db_newer_version. */
export function checkFormat(db: Writer | Reader): number | null {
  if (db.pragma('application_id', { simple: true }) !== APPLICATION_ID) return null;
  const version = Number(db.pragma('user_version', { simple: true }));
  if (version > FORMAT_VERSION)
    throw new TidemarkError('db_newer_version', { file: db.name, found: version, known: FORMAT_VERSION });
  return version;
}
