import type { PageStart } from '@tidemark/protocol/cursor';
import { prepared, type Reader, type Writer } from '@tidemark/table-store/sqlite';

/** One stretch of a transaction in one scope: its row lines. */
export interface LogEntry {
  seq: number;
  part: number;
  body: Buffer;
  changes: number;
  /** JSON array of the ids of the tables that it uses. */
  ids: string;
  committedAt: string;
}

/** SQLite merges at most this many ordered selects. */
const MERGED_MOST = 400;

interface Place {
  seq: number;
  part?: number;
}

/** What is read of each scope: its columns and table, and what of them. Each arm is a seek in an index that begins with the scope. */
interface Arm {
  select: string;
  /** Goes on after `WHERE scope = ?`. */
  and: string;
  values: unknown[];
  order: string;
}

/** Rows of a set of scopes, as one ordered stream; what it costs follows what is read of it. */
export function* inOrder<T extends Place>(
  db: Reader | Writer,
  scopes: readonly string[],
  { select, and, values, order }: Arm,
): Generator<T, void, void> {
  const streams: IterableIterator<T>[] = [];
  for (let from = 0; from < scopes.length; from += MERGED_MOST) {
    const some = scopes.slice(from, from + MERGED_MOST);
    const sql = `${some.map(() => `${select} WHERE scope = ? ${and}`).join(' UNION ALL ')} ORDER BY ${order}`;
    // A statement gives one stream at a time.
    const statement = scopes.length > MERGED_MOST ? db.prepare(sql) : prepared(db, sql);
    streams.push(statement.iterate(...some.flatMap((scope) => [scope, ...values])) as IterableIterator<T>);
  }
  const [only] = streams;
  if (streams.length === 1 && only) yield* only;
  else yield* merged(streams);
}

/** Merges ordered streams. */
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

/** The log of a set of scopes after a page start and up to a seq, in the order in which it is applied. */
export function logEntries(
  db: Reader | Writer,
  scopes: readonly string[],
  start: PageStart,
  target: number,
): Generator<LogEntry, void, void> {
  return inOrder(db, scopes, {
    select: 'SELECT seq, part, body, changes, ids, committed_at AS committedAt FROM tidemark_log',
    and: 'AND (seq, part) > (?, ?) AND seq <= ?',
    values: [start.seq + 1, start.part, target],
    order: 'seq, part',
  });
}
