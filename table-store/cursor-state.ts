import { Cursor, PageStart, Seq, seq } from '@tidemark/protocol/cursor';
import { ScopeSet } from '@tidemark/protocol/page';
import { prepared, type Reader, type Writer } from './sqlite.ts';

/** Where a replica stands. */
export interface CursorState {
  /** Null: nothing yet. */
  cursor: Cursor | null;
  /** Where its next page starts. */
  start: PageStart;
  /** Commit time at the master of the last transaction (ISO 8601). */
  committedAt: string | null;
  /** Id of the set of scopes that it holds; null: nothing yet. */
  scopes: ScopeSet | null;
}

export const NO_DATA: CursorState = { cursor: null, start: { seq: seq(0), part: 0 }, committedAt: null, scopes: null };

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

// All columns: a file of the format before lacks `squashed`.
const SQL = `SELECT *, committed_at AS committedAt,
  (SELECT count(*) FROM (SELECT 1 FROM tidemark_spool LIMIT 1)) AS spooled FROM tidemark_meta`;

/** Where a replica stands; nowhere when its row is gone, or says what cannot be. */
export function readCursorState(db: Reader | Writer): CursorState {
  return read(db) ?? NO_DATA;
}

/** Whether the replica's row says what cannot be: another program wrote it. */
export function hasInvalidCursor(db: Writer): boolean {
  return read(db) === null;
}

function read(db: Reader | Writer): CursorState | null {
  const row = prepared(db, SQL).get() as
    | { epoch: unknown; scopes: unknown; committedAt: unknown; squashed?: unknown; spooled: number }
    | undefined;
  if (row === undefined) return null;
  if (row.epoch === null) return NO_DATA;
  const cursor = Cursor.safeParse(row);
  const start = PageStart.safeParse(row);
  const scopes = ScopeSet.safeParse(row.scopes);
  if (!cursor.success || !start.success || !scopes.success) return null;
  if (start.data.part > 0 !== row.spooled > 0) return null;
  if (row.squashed != null && !(start.data.part > 0 && Seq.safeParse(row.squashed).success)) return null;
  const committedAt = TIME.test(String(row.committedAt)) ? String(row.committedAt) : null;
  return { cursor: cursor.data, start: start.data, committedAt, scopes: scopes.data };
}
