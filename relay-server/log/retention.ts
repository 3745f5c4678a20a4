import { type Seq, seq } from '@tidemark/protocol/cursor';
import { prepared, transaction, type Writer } from '@tidemark/table-store/sqlite';
import { z } from 'zod';

/** How long increments are kept: the oldest are dropped when either limit is passed. */
export const Retention = z.object({
  days: z.number().positive(),
  /** Size of the log as it is sent, uncompressed; null: no limit. */
  megabytes: z.number().positive().nullable(),
});
export type Retention = z.output<typeof Retention>;

/** Transactions that go in one step: a batch never waits long for one. */
const STEP = 500;
const DAY_MS = 86_400_000;

interface Row {
  seq: number;
  committedAt: string;
  lastLog: number;
  sumBytes: number;
}

/**
 * Drops the oldest increments that retention does not keep, at most {@link STEP} transactions, and moves the horizon.
 * Its cost follows what goes. Returns the horizon, and whether more is to go. The running totals of the horizon itself
 * stay, so that what lies behind a cursor can still be counted from it.
 */
export function dropOldest(db: Writer, keep: Retention, now: number): { horizon: Seq; more: boolean } {
  const { horizon: from } = prepared(db, 'SELECT horizon FROM tidemark_feed').get() as { horizon: number };
  const oldest = prepared(
    db,
    'SELECT seq, committed_at AS committedAt, last_log AS lastLog, sum_bytes AS sumBytes FROM tidemark_seq WHERE seq > ? ORDER BY seq LIMIT ?',
  ).all(from, STEP) as Row[];
  const total = sumOf(db, 'ORDER BY seq DESC LIMIT 1');
  const since = new Date(now - keep.days * DAY_MS).toISOString();
  const limit = keep.megabytes === null ? Number.POSITIVE_INFINITY : keep.megabytes * 1e6;
  let before = sumOf(db, `WHERE seq <= ${from} ORDER BY seq DESC LIMIT 1`);
  let last: Row | undefined;
  for (const row of oldest) {
    if (row.committedAt >= since && total - before <= limit) break;
    last = row;
    before = row.sumBytes;
  }
  if (last === undefined) return { horizon: seq(from), more: false };
  const horizon = last;
  transaction(db, () => drop(db, horizon));
  return { horizon: seq(horizon.seq), more: horizon.seq === oldest.at(-1)?.seq && oldest.length === STEP };
}

function drop(db: Writer, { seq: horizon, lastLog }: Row): void {
  const scopes = prepared(db, 'SELECT DISTINCT scope FROM tidemark_log WHERE n <= ?').pluck().all(lastLog) as string[];
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

function sumOf(db: Writer, rest: string): number {
  const sum = db.prepare(`SELECT sum_bytes FROM tidemark_seq ${rest}`).pluck().get() as number | undefined;
  return sum ?? 0;
}

/** Names in the running totals of a scope, one seek each. */
function* tableNames(db: Writer, scope: string): Generator<string> {
  const next = prepared(
    db,
    'SELECT name FROM tidemark_table_change WHERE scope = ? AND name > ? ORDER BY name LIMIT 1',
  ).pluck();
  let name = next.get(scope, '') as string | undefined;
  while (name !== undefined) {
    yield name;
    name = next.get(scope, name) as string | undefined;
  }
}
