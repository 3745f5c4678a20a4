import type { PageStart } from '@tidemark/protocol/cursor';
import { BLOB, INTEGER, ownQuery, query, type RowShape, row, TEXT } from '@tidemark/table-store/query';
import type { Reader, Writer } from '@tidemark/table-store/sqlite';

/**
 * Reads several scopes as one ordered stream. Each scope is one seek in an index that begins with the scope, and SQLite
 * merges the scopes. So the cost depends only on how far the caller reads the stream.
 */

/** Consecutive lines of a transaction in one scope. */
export interface LogEntry {
  seq: number;
  /** Number of the entry in its transaction, counted from 1 across all scopes. */
  part: number;
  body: Buffer;
  changes: number;
  /** Ids of the tables that the entry uses, as a JSON array. */
  ids: string;
  committedAt: string;
}

const LOG_ENTRY: RowShape<LogEntry> = row({
  seq: INTEGER,
  part: INTEGER,
  body: BLOB,
  changes: INTEGER,
  ids: TEXT,
  committedAt: TEXT,
});

/** Maximum number of ordered selects that SQLite merges. This module merges more scopes itself. */
const MERGED_MAX = 400;

interface Place {
  seq: number;
  part?: number;
}

/** The SELECT statement for one scope. */
interface Arm {
  /** Columns and table, in SQL. */
  select: string;
  /** Conditions after `WHERE scope = ?`, in SQL. */
  and: string;
  /** Values of the parameters in `and`. */
  values: unknown[];
  order: string;
}

/**
 * Streams rows of a set of scopes in `order`. The caller must end the stream or read all of it, because an open stream
 * keeps its statement busy.
 */
export function* inOrder<T extends Place>(
  db: Reader | Writer,
  scopes: readonly string[],
  shape: RowShape<T>,
  { select, and, values, order }: Arm,
): Generator<T, void, void> {
  const streams: IterableIterator<T>[] = [];
  for (let from = 0; from < scopes.length; from += MERGED_MAX) {
    const some = scopes.slice(from, from + MERGED_MAX);
    const sql = `${some.map(() => `${select} WHERE scope = ? ${and}`).join(' UNION ALL ')} ORDER BY ${order}`;
    // A cached statement can serve only one stream at a time.
    const found = scopes.length > MERGED_MAX ? ownQuery(db, sql, shape) : query(db, sql, shape);
    streams.push(found.iterate(...some.flatMap((scope) => [scope, ...values])));
  }
  const [only] = streams;
  if (streams.length === 1 && only) yield* only;
  else yield* merged(streams);
}

function* merged<T extends Place>(streams: IterableIterator<T>[]): Generator<T, void, void> {
  try {
    const heads = streams.map((stream) => ({ stream, row: nextOf(stream) }));
    for (;;) {
      const first = heads.reduce((a, b) => (isBefore(b.row, a.row) ? b : a));
      if (first.row === null) return;
      yield first.row;
      first.row = nextOf(first.stream);
    }
  } finally {
    for (const stream of streams) stream.return?.();
  }
}

function nextOf<T>(stream: IterableIterator<T>): T | null {
  const { done, value } = stream.next();
  return done ? null : value;
}

function isBefore(a: Place | null, b: Place | null): boolean {
  if (a === null || b === null) return a !== null;
  return a.seq < b.seq || (a.seq === b.seq && (a.part ?? 0) < (b.part ?? 0));
}

/**
 * Streams the log of a set of scopes after a page start and up to a seq, in the order in which a terminal applies it.
 */
export function logEntries(
  db: Reader | Writer,
  scopes: readonly string[],
  start: PageStart,
  target: number,
): Generator<LogEntry, void, void> {
  return inOrder(db, scopes, LOG_ENTRY, {
    select: 'SELECT seq, part, body, changes, ids, committed_at AS committedAt FROM tidemark_log',
    and: 'AND (seq, part) > (?, ?) AND seq <= ?',
    values: [start.seq + 1, start.part, target],
    order: 'seq, part',
  });
}
