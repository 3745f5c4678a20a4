import type { BehindBody, RelayStatusBody, SnapshotReason } from '@tidemark/protocol/api';
import type { Cursor, Seq } from '@tidemark/protocol/cursor';
import type { ScopeSet } from '@tidemark/protocol/page';

/**
 * Decides how a terminal catches up, and estimates the bytes to download. Pure: the plan depends only on the facts.
 * Facts that cost a query are functions, called only if the decision depends on them. So the answer to a terminal that
 * is caught up costs almost nothing.
 */

export type Plan = RelayStatusBody['plan'];

export interface Size {
  rows: number;
  tables: number;
}

/** A snapshot file that is ready. */
export interface ReadySnapshot {
  rows: number;
  /** Size of the SQLite file. */
  bytes: number;
  /** Size of the smallest encoded file, which terminals download. */
  downloadBytes: number;
}

export interface PlanFacts {
  /** The head of the feed; null before the first base copy. */
  head: Cursor | null;
  /** The oldest seq from which a pull can start. */
  horizon: Seq;
  /** The terminal's cursor; null if its replica is empty. */
  cursor: Cursor | null;
  /** The set of scopes that the terminal is entitled to. */
  entitled: ScopeSet;
  /** The set of scopes in the terminal's replica. */
  holds: ScopeSet;
  /** Returns the backlog between the cursor and the head. Called only if the log contains the cursor. */
  behind: () => BehindBody;
  /** Returns the number of rows and tables of the entitled set. */
  size: () => Size;
  /** Returns an upper bound on the number of rows that changed after the cursor. */
  changedRows: () => number;
  /** Returns the newest snapshot of the entitled set, or null if none is ready. */
  snapshot: () => ReadySnapshot | null;
  /**
   * Compressed size of all pages so far divided by their uncompressed size, 0 to 1. Null if none has been compressed.
   */
  pageRatio: number | null;
  /** Returns whether an earlier compaction from the cursor did not make the pages smaller. */
  compactionRefused: () => boolean;
}

interface Planned {
  /** The backlog; null if a pull cannot start from the cursor. */
  behind: BehindBody | null;
  plan: Plan;
}

/** Assumed size of a row before the first snapshot is built, in bytes. */
const ROW_BYTES = 120;
/** Assumed compression ratio before anything has been compressed. */
const COMPRESSION_RATIO = 0.3;
/**
 * Backlogs between these sizes, in bytes, are compacted. For a smaller one a build is not worthwhile; for a larger one
 * it takes too long.
 */
const COMPACTION_MIN_BYTES = 1024 * 1024;
const COMPACTION_MAX_BYTES = 512 * 1024 * 1024;
/** A backlog up to this size, in bytes, is sent as pages without estimating the cost of a snapshot. */
const SMALL_BACKLOG_BYTES = 64 * 1024;

export function planOf(facts: PlanFacts): Planned {
  const { head, cursor, entitled: scopes } = facts;
  if (head === null) return { behind: null, plan: { by: 'none' } };
  const reason = snapshotReason(facts, head);
  if (reason !== null) return { behind: null, plan: { by: 'snapshot', scopes, reason, ...snapshotCost(facts) } };
  if (facts.holds !== scopes) return { behind: null, plan: { by: 'difference', scopes, ...snapshotCost(facts) } };
  if (cursor === null || cursor.seq < facts.horizon)
    return { behind: null, plan: { by: 'snapshot', scopes, reason: 'behind_horizon', ...snapshotCost(facts) } };
  const behind = facts.behind();
  if (cursor.seq === head.seq) return { behind, plan: { by: 'none' } };
  return { behind, plan: pagesOrSnapshot(facts, behind) };
}

/** Returns why the cursor does not belong to this feed, or null if it does. */
function snapshotReason({ cursor }: PlanFacts, head: Cursor): SnapshotReason | null {
  if (cursor === null) return 'first';
  if (cursor.epoch !== head.epoch) return 'epoch_changed';
  if (cursor.seq > head.seq) return 'cursor_ahead';
  return null;
}

function pagesOrSnapshot(facts: PlanFacts, behind: BehindBody): Plan {
  const { entitled: scopes } = facts;
  const compacted =
    behind.transactions > 1 &&
    behind.bytes >= COMPACTION_MIN_BYTES &&
    behind.bytes <= COMPACTION_MAX_BYTES &&
    !facts.compactionRefused();
  const ratio = compressionRatio(facts);
  const replayBytes = Math.ceil(behind.bytes * ratio);
  if (behind.bytes <= SMALL_BACKLOG_BYTES) return { by: 'pages', scopes, bytes: replayBytes, squashed: compacted };
  const changeBytes = behind.bytes / Math.max(1, behind.changes);
  const bytes = compacted ? Math.min(replayBytes, Math.ceil(facts.changedRows() * changeBytes * ratio)) : replayBytes;
  const snapshot = snapshotCost(facts, changeBytes);
  if (bytes > snapshot.bytes) return { by: 'snapshot', scopes, reason: 'cheaper', ...snapshot };
  return { by: 'pages', scopes, bytes, squashed: compacted };
}

/**
 * Estimates the download size of a snapshot. `rowBytes` is the size of a row in the backlog, used if no snapshot of the
 * set has been built.
 */
function snapshotCost(facts: PlanFacts, rowBytes = ROW_BYTES): Size & { bytes: number } {
  const size = facts.size();
  const snapshot = facts.snapshot();
  const perRow =
    snapshot && snapshot.rows > 0
      ? snapshot.downloadBytes / snapshot.rows
      : Math.max(rowBytes, ROW_BYTES) * compressionRatio(facts);
  return { ...size, bytes: Math.ceil(size.rows * perRow) };
}

/** Returns the compression ratio of the pages so far, or of the set's snapshot, or a typical one. */
function compressionRatio({ pageRatio, snapshot }: PlanFacts): number {
  if (pageRatio !== null) return pageRatio;
  const ready = snapshot();
  return ready ? ready.downloadBytes / ready.bytes : COMPRESSION_RATIO;
}
