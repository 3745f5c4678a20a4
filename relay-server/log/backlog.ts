import type { BehindBody, TransactionListBody } from '@tidemark/protocol/api';
import type { Seq } from '@tidemark/protocol/cursor';
import { INTEGER, query, row, SEQ, TEXT } from '@tidemark/table-store/query';
import type { Reader } from '@tidemark/table-store/sqlite';
import { inOrder } from './log-reader.ts';

/**
 * Counts and lists the transactions after a seq in a set of scopes. The log keeps running totals by scope, so that a
 * count needs only two rows per scope, however large the backlog is.
 */

/**
 * A transaction in several scopes must count once, which requires reading the transactions. Above this number, the
 * backlog reports an upper bound instead.
 */
const COUNTED_MAX = 5_000;

const SUMS = row({ transactions: INTEGER, changes: INTEGER, bytes: INTEGER });
const FIRST = row({ seq: SEQ, at: TEXT });
const TRANSACTION = row({ seq: SEQ, committedAt: TEXT, changes: INTEGER, bytes: INTEGER, tables: TEXT });

type Sums = { transactions: number; changes: number; bytes: number };
const NONE: Sums = { transactions: 0, changes: 0, bytes: 0 };

/** Returns the backlog between `from` and the head in these scopes. */
export function behindOf(db: Reader, scopes: readonly string[], from: Seq, head: Seq): BehindBody {
  if (from >= head) return { ...NONE, oldestAt: null };
  const sum = { ...NONE };
  let touched = 0;
  let oldest: { seq: Seq; at: string } | undefined;
  for (const scope of scopes) {
    const newest = sumsAt(db, scope, head);
    const held = sumsAt(db, scope, from);
    if (newest.changes === held.changes) continue;
    touched++;
    sum.transactions += newest.transactions - held.transactions;
    sum.changes += newest.changes - held.changes;
    sum.bytes += newest.bytes - held.bytes;
    const first = query(
      db,
      'SELECT seq, committed_at AS at FROM tidemark_transaction WHERE scope = ? AND seq > ? AND changes > 0 ORDER BY seq LIMIT 1',
      FIRST,
    ).get(scope, from);
    if (first && (oldest === undefined || first.seq < oldest.seq)) oldest = first;
  }
  if (touched > 1) sum.transactions = distinctCount(db, scopes, from, head, sum.transactions);
  return oldest === undefined ? { ...sum, oldestAt: null } : { ...sum, oldestAt: oldest.at, oldest: oldest.seq };
}

/** Lists at most `limit` transactions after a seq, oldest first. A transaction in several scopes is one entry. */
export function transactionsAfter(
  db: Reader,
  scopes: readonly string[],
  after: Seq,
  limit: number,
): TransactionListBody['transactions'] {
  const list: { seq: Seq; committedAt: string; changes: number; bytes: number; tables: Set<string> }[] = [];
  for (const found of transactionRows(db, scopes, after)) {
    const tables = JSON.parse(found.tables) as string[];
    const last = list.at(-1);
    if (last?.seq === found.seq) {
      last.changes += found.changes;
      last.bytes += found.bytes;
      for (const name of tables) last.tables.add(name);
    } else {
      if (list.length === limit) break;
      list.push({ ...found, tables: new Set(tables) });
    }
  }
  return list.map((entry) => ({ ...entry, tables: [...entry.tables] }));
}

/** Streams the transactions with changes in any of the scopes, one row per scope, ordered by seq. */
function transactionRows(db: Reader, scopes: readonly string[], after: Seq) {
  return inOrder(db, scopes, TRANSACTION, {
    select: 'SELECT seq, committed_at AS committedAt, changes, bytes, tables FROM tidemark_transaction',
    and: 'AND seq > ? AND changes > 0',
    values: [after],
    order: 'seq',
  });
}

/** Counts the transactions with changes in any of the scopes. `sum` is the sum over the scopes, an upper bound. */
function distinctCount(db: Reader, scopes: readonly string[], from: Seq, head: Seq, sum: number): number {
  if (sum > COUNTED_MAX) return Math.min(sum, head - from);
  let count = 0;
  let last = 0;
  for (const { seq } of transactionRows(db, scopes, from)) {
    if (seq > head) break;
    if (seq !== last) count++;
    last = seq;
  }
  return count;
}

/** Returns the running totals of a scope at a seq. */
function sumsAt(db: Reader, scope: string, at: Seq): Sums {
  const sums = query(
    db,
    'SELECT sum_transactions AS transactions, sum_changes AS changes, sum_bytes AS bytes FROM tidemark_transaction WHERE scope = ? AND seq <= ? ORDER BY seq DESC LIMIT 1',
    SUMS,
  );
  return sums.get(scope, at) ?? NONE;
}
