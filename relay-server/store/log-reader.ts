import type { PageStart } from '@tidemark/protocol/cursor.ts';
import { prepared, type Reader } from '@tidemark/replica/sqlite.ts';

/** One stretch of a transaction: its row lines. */
export interface LogEntry {
  seq: number;
  part: number;
  body: Buffer;
  changes: number;
  /** JSON array of the ids of the tables that it uses. */
  ids: string;
  committedAt: string;
}

const NEWLINE = 0x0a;

/** The log of a set of scopes after a page start and up to a seq, in the order in which it is applied. */
export function* logEntries(
  db: Reader,
  scopes: readonly string[],
  start: PageStart,
  target: number,
): IterableIterator<LogEntry> {
  const entries = prepared(
    db,
    `SELECT l.seq, l.part, l.body, l.changes, l.ids, l.last, t.committed_at AS committedAt
       FROM tidemark_log l JOIN tidemark_transaction t ON t.scope = l.scope AND t.seq = l.seq
      WHERE l.scope = ? AND (l.seq, l.part) > (?, ?) AND l.seq <= ? ORDER BY l.seq, l.part`,
  ).iterate(scopes[0], start.seq + 1, start.part, target) as IterableIterator<LogEntry & { last: number }>;
  for (const { last, ...entry } of entries)
    yield { ...entry, body: rowLines(entry.body, entry.part === 1, last === 1) };
}

/** A body without the lines that begin and end its transaction. */
function rowLines(body: Buffer, first: boolean, last: boolean): Buffer {
  const from = first ? body.indexOf(NEWLINE) + 1 : 0;
  const to = last ? body.lastIndexOf(NEWLINE, body.length - 2) + 1 : body.length;
  return body.subarray(from, to);
}
