import { randomBytes } from 'node:crypto';
import { Epoch, type Seq } from '@tidemark/protocol/cursor.ts';
import type { Writer } from '@tidemark/replica/sqlite.ts';

/** The one scope of this version. */
export const EVERYONE_SCOPE = '*';

const DDL = `
CREATE TABLE IF NOT EXISTS tidemark_feed (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  epoch TEXT NOT NULL,
  head INTEGER NOT NULL,
  horizon INTEGER NOT NULL,
  position TEXT,
  source TEXT,
  committed_at TEXT,
  next_table_id INTEGER NOT NULL
);
-- Every version of every table's schema that the log speaks of.
CREATE TABLE IF NOT EXISTS tidemark_schema (id INTEGER PRIMARY KEY, schema TEXT NOT NULL);
-- Log entries, as they are sent. ids: the tables that the entry uses. last: ends its transaction.
CREATE TABLE IF NOT EXISTS tidemark_log (
  scope TEXT NOT NULL, seq INTEGER NOT NULL, part INTEGER NOT NULL,
  body BLOB NOT NULL, changes INTEGER NOT NULL, ids TEXT NOT NULL, last INTEGER NOT NULL,
  PRIMARY KEY (scope, seq, part)
);
-- Transactions, with running totals, so that what a terminal lacks is a difference of two rows.
CREATE TABLE IF NOT EXISTS tidemark_transaction (
  scope TEXT NOT NULL, seq INTEGER NOT NULL, committed_at TEXT NOT NULL, changes INTEGER NOT NULL, bytes INTEGER NOT NULL,
  tables TEXT NOT NULL, sum_transactions INTEGER NOT NULL, sum_changes INTEGER NOT NULL, sum_bytes INTEGER NOT NULL,
  PRIMARY KEY (scope, seq)
) WITHOUT ROWID;
-- Running totals by table, one row for each transaction that touches it.
CREATE TABLE IF NOT EXISTS tidemark_table_change (
  scope TEXT NOT NULL, name TEXT NOT NULL, seq INTEGER NOT NULL, committed_at TEXT NOT NULL, sum_changes INTEGER NOT NULL,
  PRIMARY KEY (scope, name, seq)
) WITHOUT ROWID;
`;

/** The feed's one row. */
export interface FeedRow {
  epoch: Epoch;
  head: Seq;
  horizon: Seq;
  position: string | null;
  source: string | null;
  committedAt: string | null;
  nextTableId: number;
}

/** Makes the log's tables; an empty one begins a new epoch. */
export function ensureLog(db: Writer): void {
  db.exec(DDL);
  const epoch = Epoch.parse(randomBytes(8).toString('hex'));
  db.prepare(
    'INSERT OR IGNORE INTO tidemark_feed (one, epoch, head, horizon, next_table_id) VALUES (1, ?, 0, 0, 1)',
  ).run(epoch);
}

export const FEED_SQL =
  'SELECT epoch, head, horizon, position, source, committed_at AS committedAt, next_table_id AS nextTableId FROM tidemark_feed';

/** The same for a connection that has the feed's database attached as `mirror`. */
export const MIRROR_STANDING_SQL = 'SELECT epoch, head AS seq, committed_at FROM mirror.tidemark_feed';
