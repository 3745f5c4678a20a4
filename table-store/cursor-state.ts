import { Cursor, PageStart, Seq, seq } from '@tidemark/protocol/cursor';
import { ScopeSet } from '@tidemark/protocol/page';
import { INTEGER, query, row, UNKNOWN } from './query.ts';
import type { Reader, Writer } from './sqlite.ts';

/**
 * Reads the cursor of a replica: the one row of `tidemark_meta`.
 *
 * The row is parsed as untrusted input. Other programs can write to a replica, and a cursor that claims more than the
 * tables hold would lose changes silently. A row that cannot be right therefore counts as no data, so that a fresh copy
 * follows. This module never writes.
 */
export interface CursorState {
  /** The last transaction that the replica has applied. Null: it holds no data. */
  cursor: Cursor | null;
  /** The start of the next page. */
  start: PageStart;
  /** Commit time at the master of the last transaction (ISO 8601). */
  committedAt: string | null;
  /** The id of the replica's set of scopes. Null: it holds no data. */
  scopes: ScopeSet | null;
}

export const NO_DATA: CursorState = { cursor: null, start: { seq: seq(0), part: 0 }, committedAt: null, scopes: null };

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

// `SELECT *`, because a file of format 1 has no column `squashed`.
const SQL = `SELECT *, committed_at AS committedAt,
  (SELECT count(*) FROM (SELECT 1 FROM tidemark_spool LIMIT 1)) AS spooled FROM tidemark_meta`;

const META = row({ epoch: UNKNOWN, scopes: UNKNOWN, committedAt: UNKNOWN, squashed: UNKNOWN, spooled: INTEGER });

/** Reads the cursor of a replica. Returns {@link NO_DATA} when its row is missing or invalid. */
export function readCursorState(db: Reader | Writer): CursorState {
  return parseRow(db) ?? NO_DATA;
}

/** Whether the row is missing or invalid, because another program removed or changed it. */
export function hasInvalidCursor(db: Writer): boolean {
  return parseRow(db) === null;
}

/** Parses the row. Null when it is missing or invalid. */
function parseRow(db: Reader | Writer): CursorState | null {
  const meta = query(db, SQL, META).get();
  if (meta === undefined) return null;
  if (meta.epoch === null) return NO_DATA;
  const cursor = Cursor.safeParse(meta);
  const start = PageStart.safeParse(meta);
  const scopes = ScopeSet.safeParse(meta.scopes);
  if (!cursor.success || !start.success || !scopes.success) return null;
  const spools = start.data.part > 0;
  // The spool holds the first parts of a transaction exactly when the next page continues that transaction.
  if (spools !== meta.spooled > 0) return null;
  if (meta.squashed != null && !(spools && Seq.safeParse(meta.squashed).success)) return null;
  const committedAt = TIME.test(String(meta.committedAt)) ? String(meta.committedAt) : null;
  return { cursor: cursor.data, start: start.data, committedAt, scopes: scopes.data };
}
