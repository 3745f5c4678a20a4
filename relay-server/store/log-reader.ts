import type { PageStart } from '@tidemark/protocol/cursor.ts';
import { prepared, type Reader, type Writer } from '@tidemark/replica/sqlite.ts';

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

/**
 * The SQL of an ordered merge of one select for each scope: `select` without its WHERE's end, `order` its first columns.
 * Each arm is a seek in an index that begins with the scope, so the cost follows what is read.
 */
export function merged(select: string, rest: string, order: string, scopes: number): string {
  if (scopes > MERGED_MOST)
    return `${select} WHERE scope IN (SELECT value FROM json_each(?)) ${rest} ORDER BY ${order}`;
  const arms = Array.from({ length: scopes }, () => `${select} WHERE scope = ? ${rest}`);
  return `${arms.join(' UNION ALL ')} ORDER BY ${order}`;
}

/** The values for {@link merged}: those of `rest` come after each scope. */
export function mergedValues(scopes: readonly string[], rest: unknown[]): unknown[] {
  if (scopes.length > MERGED_MOST) return [JSON.stringify(scopes), ...rest];
  return scopes.flatMap((scope) => [scope, ...rest]);
}

/** The log of a set of scopes after a page start and up to a seq, in the order in which it is applied. */
export function logEntries(
  db: Reader | Writer,
  scopes: readonly string[],
  start: PageStart,
  target: number,
): IterableIterator<LogEntry> {
  const sql = merged(
    'SELECT seq, part, body, changes, ids, committed_at AS committedAt FROM tidemark_log',
    'AND (seq, part) > (?, ?) AND seq <= ?',
    'seq, part',
    scopes.length,
  );
  return prepared(db, sql).iterate(
    ...mergedValues(scopes, [start.seq + 1, start.part, target]),
  ) as IterableIterator<LogEntry>;
}
