import type { BehindBody, RelayStatusBody, SnapshotReason } from '@tidemark/protocol/api';
import type { Cursor, Seq } from '@tidemark/protocol/cursor';
import type { ScopeSet } from '@tidemark/protocol/page';

/**
 * Decides how a terminal catches up, and what that costs in bytes over the network. Pure: the same facts give the same
 * plan, nothing is read or changed here. Facts that cost a query are functions, and are asked for only when the decision
 * depends on them, so that the answer to a terminal that is caught up costs almost nothing.
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
  /** Size of its smallest form, which terminals download. */
  downloadBytes: number;
}

export interface PlanFacts {
  /** Null: the relay has no base yet. */
  head: Cursor | null;
  /** The oldest seq from which a pull can start. */
  horizon: Seq;
  /** The terminal's cursor; null: its replica is empty. */
  cursor: Cursor | null;
  /** The set of scopes that the terminal is entitled to. */
  entitled: ScopeSet;
  /** The set of scopes that its replica holds. */
  holds: ScopeSet;
  /** The backlog between the cursor and the head. Asked for only when the log holds the cursor. */
  behind: () => BehindBody;
  /** Rows and tables of the entitled set. */
  size: () => Size;
  /** An upper bound of the rows that changed after the cursor. */
  changedRows: () => number;
  /** The newest snapshot of the entitled set; null: none is ready. */
  snapshot: () => ReadySnapshot | null;
  /** Compressed size of all pages so far by their plain size, 0 to 1; null: none was compressed. */
  pageRatio: number | null;
  /** Whether compacting from the cursor was tried and did not make the pages smaller. */
  compactionRefused: () => boolean;
}

interface Planned {
  /** Null: the cursor is not one that a pull can start from. */
  behind: BehindBody | null;
  plan: Plan;
}

/** Size of a row in a snapshot before one was built, bytes. */
const ROW_BYTES = 120;
/** Compression ratio before anything was compressed. */
const COMPRESSION_RATIO = 0.3;
/** Below this size of the backlog, bytes, compaction is not worth a build; above the upper one a build takes too long. */
const COMPACTION_MIN_BYTES = 1024 * 1024;
const COMPACTION_MAX_BYTES = 512 * 1024 * 1024;
/** A backlog up to this size, bytes, never costs more than a snapshot: the comparison is skipped. */
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

/** Why the cursor says nothing about this feed; null: it is one of its seqs. */
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

/** `rowBytes`: size of a row as the backlog suggests it, for a set of which no snapshot was built. */
function snapshotCost(facts: PlanFacts, rowBytes = ROW_BYTES): Size & { bytes: number } {
  const size = facts.size();
  const snapshot = facts.snapshot();
  const perRow =
    snapshot && snapshot.rows > 0
      ? snapshot.downloadBytes / snapshot.rows
      : Math.max(rowBytes, ROW_BYTES) * compressionRatio(facts);
  return { ...size, bytes: Math.ceil(size.rows * perRow) };
}

/** Compression ratio: that of the pages so far, else that of the set's snapshot, else a typical one. */
function compressionRatio({ pageRatio, snapshot }: PlanFacts): number {
  if (pageRatio !== null) return pageRatio;
  const ready = snapshot();
  return ready ? ready.downloadBytes / ready.bytes : COMPRESSION_RATIO;
}
