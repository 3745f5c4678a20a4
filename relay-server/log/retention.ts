import { type Seq, seq } from '@tidemark/protocol/cursor';
import { INTEGER, query, row, SEQ, TEXT, value } from '@tidemark/table-store/query';
import { prepared, transaction, type Writer } from '@tidemark/table-store/sqlite';
import { z } from 'zod';
import type { FeedConfig } from '../config/relay-config.ts';

/**
 * Drops the oldest increments beyond the limits and moves the horizon. A step drops a limited number of transactions,
 * so that batches never wait long, and costs time only for those. It must keep the running totals at the horizon,
 * because later counts start from them.
 */

/**
 * The limits of the log. The relay drops the oldest increments when either limit is passed. The code does not compile
 * if relay.yaml has a limit that this schema does not have. `feed/keeping-time.ts` predicts the effect of each limit.
 */
export const Retention = z.object({
  days: z.number().positive(),
  /** Size of the log before compression, in 10^6 bytes. Null for no limit. */
  megabytes: z.number().positive().nullable(),
}) satisfies z.ZodType<FeedConfig['retention']>;
export type Retention = z.output<typeof Retention>;

/** Maximum number of transactions that a step drops. */
const STEP = 500;
const DAY_MS = 86_400_000;

const TRANSACTION = row({ seq: SEQ, committedAt: TEXT, lastLog: INTEGER, sumBytes: INTEGER });
interface Transaction {
  seq: Seq;
  committedAt: string;
  /** Row number of the transaction's last entry in the log. */
  lastLog: number;
  /** Size of the log up to this transaction, in bytes. */
  sumBytes: number;
}

/**
 * Runs one step. `nowMs` is the relay's clock. Returns the horizon, and whether there is more to drop. Throws
 * disk_full, db_*.
 */
export function dropOldest(db: Writer, keep: Retention, nowMs: number): { horizon: Seq; more: boolean } {
  const from = query(db, 'SELECT horizon FROM tidemark_feed', value(SEQ)).one();
  const oldest = query(
    db,
    'SELECT seq, committed_at AS committedAt, last_log AS lastLog, sum_bytes AS sumBytes FROM tidemark_seq WHERE seq > ? ORDER BY seq LIMIT ?',
    TRANSACTION,
  ).all(from, STEP);
  const total = query(db, 'SELECT sum_bytes FROM tidemark_seq ORDER BY seq DESC LIMIT 1', value(INTEGER)).get() ?? 0;
  // The master's texts sort in time order, so text comparison is sufficient.
  const since = new Date(nowMs - keep.days * DAY_MS).toISOString();
  const limit = keep.megabytes === null ? Number.POSITIVE_INFINITY : keep.megabytes * 1e6;
  const sumAt = 'SELECT sum_bytes FROM tidemark_seq WHERE seq <= ? ORDER BY seq DESC LIMIT 1';
  let before = query(db, sumAt, value(INTEGER)).get(from) ?? 0;
  let last: Transaction | undefined;
  for (const candidate of oldest) {
    if (candidate.committedAt >= since && total - before <= limit) break;
    last = candidate;
    before = candidate.sumBytes;
  }
  if (last === undefined) return { horizon: from, more: false };
  const horizon = last;
  transaction(db, () => dropUpTo(db, horizon));
  return { horizon: seq(horizon.seq), more: horizon.seq === oldest.at(-1)?.seq && oldest.length === STEP };
}

function dropUpTo(db: Writer, { seq: horizon, lastLog }: Transaction): void {
  const scopes = query(db, 'SELECT DISTINCT scope FROM tidemark_log WHERE n <= ?', value(TEXT)).all(lastLog);
  prepared(db, 'DELETE FROM tidemark_log WHERE n <= ?').run(lastLog);
  prepared(db, 'DELETE FROM tidemark_seq WHERE seq < ?').run(horizon);
  for (const scope of scopes) {
    prepared(
      db,
      `DELETE FROM tidemark_transaction WHERE scope = @scope AND seq < (
         SELECT max(seq) FROM tidemark_transaction WHERE scope = @scope AND seq <= @horizon)`,
    ).run({ scope, horizon });
    for (const name of tableNames(db, scope)) {
      prepared(
        db,
        `DELETE FROM tidemark_table_change WHERE scope = @scope AND name = @name AND seq < (
           SELECT max(seq) FROM tidemark_table_change WHERE scope = @scope AND name = @name AND seq <= @horizon)`,
      ).run({ scope, name, horizon });
    }
  }
  prepared(db, 'UPDATE tidemark_feed SET horizon = ?').run(horizon);
}

/** Yields the names of tables in the running totals of a scope, with one seek per name. */
function* tableNames(db: Writer, scope: string): Generator<string> {
  const next = query(
    db,
    'SELECT name FROM tidemark_table_change WHERE scope = ? AND name > ? ORDER BY name LIMIT 1',
    value(TEXT),
  );
  for (let name = next.get(scope, ''); name !== undefined; name = next.get(scope, name)) yield name;
}
