import { type Seq, seq } from '@tidemark/protocol/cursor.ts';
import { prepared, transaction, type Writer } from '@tidemark/replica/sqlite.ts';
import { EVERYONE_SCOPE } from './log-format.ts';

/** How long increments are kept: what passes either limit goes. */
export interface Retention {
  days: number;
  /** Size of the log as sent, uncompressed; null: no limit. */
  megabytes: number | null;
}

/** Transactions that go in one step: a batch never waits long for one. */
const STEP = 500;
const DAY_MS = 86_400_000;

interface Row {
  seq: number;
  committedAt: string;
  sumBytes: number;
}

/**
 * Drops the oldest increments that retention does not keep, at most {@link STEP} transactions, and moves the horizon.
 * Its cost follows what goes. Returns the horizon, and whether more is to go. The running totals of the horizon itself
 * stay, so that what lies behind a cursor can still be counted from it.
 */
export function dropOldest(db: Writer, keep: Retention, now: number): { horizon: Seq; more: boolean } {
  const feed = prepared(db, 'SELECT head, horizon FROM tidemark_feed').get() as { head: number; horizon: number };
  const total = prepared(db, 'SELECT sum_bytes AS sum FROM tidemark_transaction WHERE scope = ? AND seq = ?').get(
    EVERYONE_SCOPE,
    feed.head,
  ) as { sum: number } | undefined;
  const oldest = prepared(
    db,
    'SELECT seq, committed_at AS committedAt, sum_bytes AS sumBytes FROM tidemark_transaction WHERE scope = ? AND seq > ? ORDER BY seq LIMIT ?',
  ).all(EVERYONE_SCOPE, feed.horizon, STEP) as Row[];
  const since = new Date(now - keep.days * DAY_MS).toISOString();
  const limit = keep.megabytes === null ? Number.POSITIVE_INFINITY : keep.megabytes * 1e6;
  let before = sumAt(db, feed.horizon);
  let horizon = feed.horizon;
  for (const row of oldest) {
    if (row.committedAt >= since && (total?.sum ?? 0) - before <= limit) break;
    horizon = row.seq;
    before = row.sumBytes;
  }
  if (horizon === feed.horizon) return { horizon: seq(horizon), more: false };
  transaction(db, () => {
    prepared(db, 'DELETE FROM tidemark_log WHERE scope = ? AND seq <= ?').run(EVERYONE_SCOPE, horizon);
    prepared(db, 'DELETE FROM tidemark_transaction WHERE scope = ? AND seq < ?').run(EVERYONE_SCOPE, horizon);
    for (const name of tableNames(db)) {
      prepared(
        db,
        `DELETE FROM tidemark_table_change WHERE scope = @scope AND name = @name AND seq < (
           SELECT max(seq) FROM tidemark_table_change WHERE scope = @scope AND name = @name AND seq <= @horizon)`,
      ).run({ scope: EVERYONE_SCOPE, name, horizon });
    }
    prepared(db, 'UPDATE tidemark_feed SET horizon = ?').run(horizon);
  });
  return { horizon: seq(horizon), more: horizon === oldest.at(-1)?.seq && oldest.length === STEP };
}

function sumAt(db: Writer, at: number): number {
  const row = prepared(
    db,
    'SELECT sum_bytes AS sum FROM tidemark_transaction WHERE scope = ? AND seq <= ? ORDER BY seq DESC LIMIT 1',
  ).get(EVERYONE_SCOPE, at) as { sum: number } | undefined;
  return row?.sum ?? 0;
}

/** Names in the running totals, one seek each. */
function* tableNames(db: Writer): Generator<string> {
  const next = prepared(
    db,
    'SELECT name FROM tidemark_table_change WHERE scope = ? AND name > ? ORDER BY name LIMIT 1',
  ).pluck();
  let name = next.get(EVERYONE_SCOPE, '') as string | undefined;
  while (name !== undefined) {
    yield name;
    name = next.get(EVERYONE_SCOPE, name) as string | undefined;
  }
}
