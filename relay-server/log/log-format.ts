import { randomBytes } from 'node:crypto';
import { Epoch, Seq } from '@tidemark/protocol/cursor';
import { accepted, INTEGER, orNull, type RowShape, row, SEQ, TEXT } from '@tidemark/table-store/query';
import type { Writer } from '@tidemark/table-store/sqlite';
import { z } from 'zod';

/**
 * Defines the tables of a feed's store in addition to the mirror's: the feed's single row, the schemas that the log
 * uses, and the log with its running totals. `migrations.ts` converts stores of older formats; every change here needs
 * a new format there. Log entries contain wire lines: see docs/decisions/2026-11-23-log-keeps-wire-lines.md.
 */

export const FEED_DDL = `
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
-- Every version of a table's schema to which the log refers.
CREATE TABLE IF NOT EXISTS tidemark_schema (id INTEGER PRIMARY KEY, schema TEXT NOT NULL);
-- The filter by which the rows of each table were routed, as JSON.
CREATE TABLE IF NOT EXISTS tidemark_filter (name TEXT PRIMARY KEY, filter TEXT NOT NULL);
`;

export const LOG_DDL = `
-- Log entries in the order in which terminals apply them. body holds the lines in the form in which they are sent. part
-- counts the entries of a transaction across all scopes. ids lists the tables that the entry uses.
CREATE TABLE IF NOT EXISTS tidemark_log (
  n INTEGER PRIMARY KEY,
  scope TEXT NOT NULL, seq INTEGER NOT NULL, part INTEGER NOT NULL,
  body BLOB NOT NULL, changes INTEGER NOT NULL, ids TEXT NOT NULL, committed_at TEXT NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS tidemark_log_scope ON tidemark_log (scope, seq, part);
-- All transactions of the feed. last_log is the last log entry of the transaction. sum_bytes is the size of the log up to
-- it.
CREATE TABLE IF NOT EXISTS tidemark_seq (
  seq INTEGER PRIMARY KEY, committed_at TEXT NOT NULL, last_log INTEGER NOT NULL, sum_bytes INTEGER NOT NULL
);
-- Transactions by scope, with running totals, so that the size of a backlog is the difference of two rows.
CREATE TABLE IF NOT EXISTS tidemark_transaction (
  scope TEXT NOT NULL, seq INTEGER NOT NULL, committed_at TEXT NOT NULL, changes INTEGER NOT NULL, bytes INTEGER NOT NULL,
  tables TEXT NOT NULL, sum_transactions INTEGER NOT NULL, sum_changes INTEGER NOT NULL, sum_bytes INTEGER NOT NULL,
  PRIMARY KEY (scope, seq)
) WITHOUT ROWID;
-- Running totals by scope and table, with one row for each transaction that changes the table. rows is the number of rows
-- after the transaction.
CREATE TABLE IF NOT EXISTS tidemark_table_change (
  scope TEXT NOT NULL, name TEXT NOT NULL, seq INTEGER NOT NULL, committed_at TEXT NOT NULL,
  sum_changes INTEGER NOT NULL, rows INTEGER NOT NULL,
  PRIMARY KEY (scope, name, seq)
) WITHOUT ROWID;
`;

/** The feed's single row. Its times are the master's texts, which are logged and sent verbatim. */
export const FeedRow = z.object({
  epoch: Epoch,
  /** Newest seq; 0 before the first base. */
  head: Seq,
  /** The oldest seq from which a pull can start. */
  horizon: Seq,
  /** The master's position of the last transaction on disk; null if a base is needed. */
  position: z.string().nullable(),
  /** The master to which the position belongs: `postgres 7301…/shop`. */
  source: z.string().nullable(),
  /** When the master committed the head; null before the first base. */
  committedAt: z.string().nullable(),
  nextTableId: z.int(),
  /** When and why the last base copy was taken. */
  basedAt: z.string().nullable(),
  basedWhy: z.string().nullable(),
});
export type FeedRow = z.output<typeof FeedRow>;

export const FEED_SQL =
  'SELECT epoch, head, horizon, position, source, committed_at AS committedAt, next_table_id AS nextTableId, based_at AS basedAt, based_why AS basedWhy FROM tidemark_feed';

/** Shape of a row of {@link FEED_SQL}. */
export const FEED_ROW: RowShape<FeedRow> = row({
  epoch: accepted('an epoch', Epoch),
  head: SEQ,
  horizon: SEQ,
  position: orNull(TEXT),
  source: orNull(TEXT),
  committedAt: orNull(TEXT),
  nextTableId: INTEGER,
  basedAt: orNull(TEXT),
  basedWhy: orNull(TEXT),
});

/** Selects the mirror's cursor on a connection that has the feed's database attached as `mirror`. */
export const MIRROR_CURSOR_SQL = 'SELECT epoch, head AS seq, committed_at FROM mirror.tidemark_feed';

export const newEpoch = (): Epoch => Epoch.parse(randomBytes(8).toString('hex'));

/** Begins a new epoch with the current mirror. Works inside the caller's transaction. */
export function beginEpoch(db: Writer): void {
  clearLog(db);
  db.prepare('UPDATE tidemark_feed SET epoch = ?').run(newEpoch());
}

/** Drops all increments after a change of filters, which routed them. Works inside the caller's transaction. */
export function clearLog(db: Writer): void {
  db.exec(`DROP TABLE tidemark_log; DROP TABLE tidemark_seq; DROP TABLE tidemark_transaction; DROP TABLE tidemark_table_change;
    ${LOG_DDL}
    UPDATE tidemark_feed SET horizon = head`);
}
