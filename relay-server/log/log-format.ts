import { randomBytes } from 'node:crypto';
import { Epoch, Seq } from '@tidemark/protocol/cursor';
import { transaction, type Writer } from '@tidemark/table-store/sqlite';
import { z } from 'zod';

/** Version of these tables, in SQLite's user_version. */
const FORMAT_VERSION = 2;

const FEED_DDL = `
CREATE TABLE IF NOT EXISTS tidemark_feed (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  epoch TEXT NOT NULL,
  head INTEGER NOT NULL,
  horizon INTEGER NOT NULL,
  position TEXT,
  source TEXT,
  committed_at TEXT,
  next_table_id INTEGER NOT NULL,
  based_at TEXT,
  based_why TEXT,
  filters TEXT
);
-- Every version of every table's schema that the log speaks of.
CREATE TABLE IF NOT EXISTS tidemark_schema (id INTEGER PRIMARY KEY, schema TEXT NOT NULL);
`;

const LOG_DDL = `
-- Log entries, their lines as they are sent, in the order in which they are applied. part: counts through all scopes of a
-- transaction. ids: the tables that the entry uses.
CREATE TABLE IF NOT EXISTS tidemark_log (
  n INTEGER PRIMARY KEY,
  scope TEXT NOT NULL, seq INTEGER NOT NULL, part INTEGER NOT NULL,
  body BLOB NOT NULL, changes INTEGER NOT NULL, ids TEXT NOT NULL, committed_at TEXT NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS tidemark_log_scope ON tidemark_log (scope, seq, part);
-- All transactions of the feed. last_log: its last log entry; sum_bytes: of the whole log up to it.
CREATE TABLE IF NOT EXISTS tidemark_seq (
  seq INTEGER PRIMARY KEY, committed_at TEXT NOT NULL, last_log INTEGER NOT NULL, sum_bytes INTEGER NOT NULL
);
-- Transactions by scope, with running totals, so that what a terminal lacks is a difference of two rows.
CREATE TABLE IF NOT EXISTS tidemark_transaction (
  scope TEXT NOT NULL, seq INTEGER NOT NULL, committed_at TEXT NOT NULL, changes INTEGER NOT NULL, bytes INTEGER NOT NULL,
  tables TEXT NOT NULL, sum_transactions INTEGER NOT NULL, sum_changes INTEGER NOT NULL, sum_bytes INTEGER NOT NULL,
  PRIMARY KEY (scope, seq)
) WITHOUT ROWID;
-- Running totals by scope and table, one row for each transaction that touches it. rows: how many there are after it.
CREATE TABLE IF NOT EXISTS tidemark_table_change (
  scope TEXT NOT NULL, name TEXT NOT NULL, seq INTEGER NOT NULL, committed_at TEXT NOT NULL,
  sum_changes INTEGER NOT NULL, rows INTEGER NOT NULL,
  PRIMARY KEY (scope, name, seq)
) WITHOUT ROWID;
`;

/** The feed's one row. */
export const FeedRow = z.object({
  epoch: Epoch,
  /** 0 before the first base. */
  head: Seq,
  /** The oldest seq from which a pull can start. */
  horizon: Seq,
  /** The master's position of the last transaction on disk; null: a base is needed. */
  position: z.string().nullable(),
  /** Which master the position belongs to. */
  source: z.string().nullable(),
  /** When the master committed the head: its own text, as it goes into the log. Null before the first base. */
  committedAt: z.string().nullable(),
  nextTableId: z.int(),
  /** When the master's tables were last read as a base, and why. */
  basedAt: z.string().nullable(),
  basedWhy: z.string().nullable(),
});
export type FeedRow = z.output<typeof FeedRow>;

/** Makes the log's tables; an empty one begins a new epoch. A log of an older format is dropped: the mirror and its seq stay. */
export function ensureLog(db: Writer): void {
  transaction(db, () => {
    const old =
      Number(db.pragma('user_version', { simple: true })) < FORMAT_VERSION &&
      db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'tidemark_feed'").get() !== undefined;
    if (old) {
      db.exec(`DROP TABLE tidemark_log; DROP TABLE tidemark_transaction; DROP TABLE tidemark_table_change;
        ALTER TABLE tidemark_feed ADD COLUMN based_at TEXT;
        ALTER TABLE tidemark_feed ADD COLUMN based_why TEXT;
        ALTER TABLE tidemark_feed ADD COLUMN filters TEXT;
        UPDATE tidemark_feed SET horizon = head`);
    }
    db.exec(FEED_DDL + LOG_DDL);
    db.prepare(
      'INSERT OR IGNORE INTO tidemark_feed (one, epoch, head, horizon, next_table_id) VALUES (1, ?, 0, 0, 1)',
    ).run(newEpoch());
    db.pragma(`user_version = ${FORMAT_VERSION}`);
  });
}

const newEpoch = () => Epoch.parse(randomBytes(8).toString('hex'));

/** Begins a new epoch with the mirror as it is. */
export function beginEpoch(db: Writer): void {
  clearLog(db);
  db.prepare('UPDATE tidemark_feed SET epoch = ?').run(newEpoch());
}

/** Drops all increments: what they were routed by no longer holds. */
export function clearLog(db: Writer): void {
  db.exec(`DROP TABLE tidemark_log; DROP TABLE tidemark_seq; DROP TABLE tidemark_transaction; DROP TABLE tidemark_table_change;
    ${LOG_DDL}
    UPDATE tidemark_feed SET horizon = head`);
}

export const FEED_SQL =
  'SELECT epoch, head, horizon, position, source, committed_at AS committedAt, next_table_id AS nextTableId, based_at AS basedAt, based_why AS basedWhy FROM tidemark_feed';

/** The same for a connection that has the feed's database attached as `mirror`. */
export const MIRROR_STANDING_SQL = 'SELECT epoch, head AS seq, committed_at FROM mirror.tidemark_feed';
