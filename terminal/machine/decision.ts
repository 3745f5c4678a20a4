import type { RelayStatus } from '@tidemark/protocol/api';
import { type Cursor, type Epoch, type Seq, seq } from '@tidemark/protocol/cursor';
import type { ErrorCode, ErrorParams } from '@tidemark/protocol/errors';
import type { Fault } from '@tidemark/protocol/fault';
import { PROTOCOL_VERSION } from '@tidemark/protocol/page';
import { type ComparisonReason, hasTried, type RunState, type SnapshotReason } from './run-state.ts';
import type { Policy, PullPlan, Start } from './state.ts';

/**
 * Decides the next step of a run from the relay's status. The relay plans the cheapest way for this terminal to catch
 * up. This module also considers the run's request and the remedies that the run has already tried.
 *
 * Order: protocol and mode first, then requests for a fresh copy, then comparisons, then the relay's plan.
 */
export type Decision =
  /** The replica is at the run's target. */
  | { by: 'nothing' }
  /** `target`: where the run ends, which may be after the plan's pages. */
  | { by: 'pages'; plan: PullPlan; target: Seq }
  /** `target` null: the run ends at the snapshot. */
  | { by: 'snapshot'; reason: SnapshotReason; target: Cursor | null }
  /** After the comparison, the run pulls pages to `target`. Null: it pulls none. */
  | { by: 'comparison'; reason: ComparisonReason; target: Cursor | null }
  | { by: 'failure'; fault: Fault };

interface Replica {
  cursor: Cursor | null;
  start: Start;
  policy: Pick<Policy, 'freshCopy' | 'repair'>;
}

/** The relay's head. `oldest`: the first transaction that the replica does not have. */
interface Head {
  epoch: Epoch;
  seq: Seq;
  oldest?: Seq | undefined;
}

/**
 * While the oldest missing change is younger than this, ms, a terminal that follows the relay takes ordinary pages
 * instead of waiting for compaction.
 */
const FOLLOWING_MS = 10 * 60_000;

/** Decides the next step. A target that the run has already fixed remains valid while the epoch is the same. */
export function decide(status: RelayStatus, run: RunState, replica: Replica): Decision {
  const { cursor, policy } = replica;
  const { mode, upTo } = run.request;
  if (status.protocol !== PROTOCOL_VERSION) return failure('protocol_unsupported');
  if (mode === 'check') return { by: 'nothing' };
  const { plan } = status;
  if (status.head === null) return failure('feed_empty');
  const head: Head = { ...status.head, oldest: status.behind?.oldest };
  if (mode === 'up-to' && (upTo ?? 0) > head.seq) return failure('target_invalid', { target: upTo ?? 0 });
  if (mode === 'recopy' && run.basis.by !== 'snapshot') {
    const asked = cursor === null ? 'first' : 'asked';
    return { by: 'snapshot', reason: plan.by === 'snapshot' ? plan.reason : asked, target: head };
  }
  const comparison = comparisonOf(status, run, cursor, head);
  if (comparison !== null) return comparison;
  const reportsOnly = mode === 'verify' && !policy.repair;
  if (reportsOnly && cursor === null) return failure('replica_empty');
  if (plan.by === 'none') return { by: 'nothing' };
  if (plan.by === 'pages') {
    const compacted = plan.squashed && !isFollowing(run, status);
    return pages(run, replica, head, { scopes: plan.scopes, kind: compacted ? 'compacted' : 'ordinary' });
  }
  if (plan.by === 'difference') return failure('scopes_changed');
  if (reportsOnly && plan.reason !== 'cheaper' && plan.reason !== 'first') return failure(plan.reason);
  // A run takes at most one fresh copy. Otherwise relays of different epochs behind one address would make it take
  // copies without end.
  const hasCopy = run.basis.by === 'snapshot';
  if (hasCopy && plan.reason !== 'cheaper')
    return failure(plan.reason === 'epoch_changed' || plan.reason === 'first' ? 'epoch_unstable' : plan.reason);
  switch (plan.reason) {
    case 'cheaper':
      // A snapshot would take the replica past a chosen transaction.
      if (mode !== 'now' || hasCopy) return pages(run, replica, head, { scopes: plan.scopes, kind: 'ordinary' });
      return { by: 'snapshot', reason: plan.reason, target: head };
    case 'first':
      return { by: 'snapshot', reason: plan.reason, target: firstTarget(run, head) };
    case 'scopes_changed':
      return { by: 'snapshot', reason: plan.reason, target: head };
    case 'cursor_ahead':
      return failure('cursor_ahead');
    case 'behind_horizon':
    case 'epoch_changed':
      return mayCopy(run, policy) ? { by: 'snapshot', reason: plan.reason, target: head } : failure(plan.reason);
  }
}

/** Whether a run may download a fresh copy without asking. A scheduled run may, because nobody is there to answer. */
function mayCopy({ request }: RunState, policy: Replica['policy']): boolean {
  return policy.freshCopy === 'take' || request.trigger === 'schedule' || request.trigger === 'start';
}

/** Returns the comparison that the run needs next. Null: none. */
function comparisonOf({ plan }: RelayStatus, run: RunState, cursor: Cursor | null, head: Head): Decision | null {
  if (cursor === null || run.basis.by !== 'replica') return null;
  if (plan.by === 'difference') return { by: 'comparison', reason: 'scopes-changed', target: head };
  // A cursor ahead of the relay belongs to a history that the relay has lost. A repair returns the replica to the
  // relay's state.
  const comparable = plan.by !== 'snapshot' || plan.reason === 'cheaper' || plan.reason === 'cursor_ahead';
  if (!comparable) return null;
  const verifies = run.request.mode === 'verify';
  if (run.preparation?.reason === 'altered' && run.preparation.by === 'comparison') {
    const target = verifies ? null : { epoch: cursor.epoch, seq: targetOf(run, cursor, head) };
    return { by: 'comparison', reason: 'altered', target };
  }
  return verifies ? { by: 'comparison', reason: 'requested', target: null } : null;
}

function firstTarget({ request: { mode, upTo } }: RunState, { epoch, seq }: Head): Cursor | null {
  if (mode === 'one') return null;
  return { epoch, seq: mode === 'up-to' ? (upTo ?? seq) : seq };
}

function isFollowing({ request }: RunState, { behind, now }: RelayStatus): boolean {
  const oldestAt = behind?.oldestAt ?? null;
  return request.trigger === 'watch' && oldestAt !== null && now - oldestAt < FOLLOWING_MS;
}

function pages(
  run: RunState,
  { cursor, start }: Replica,
  head: Head,
  { scopes, kind }: Pick<PullPlan, 'scopes' | 'kind'>,
): Decision {
  if (cursor === null) return failure('page_invalid', { detail: 'the relay offers pages to a PC without data' });
  const target = targetOf(run, cursor, head);
  if (target <= cursor.seq) return { by: 'nothing' };
  const plan = { epoch: cursor.epoch, scopes, target };
  const mayCompact = run.request.mode === 'now' && !hasTried(run, 'ordinary-pages');
  // First finish a compacted transaction whose first parts the replica keeps.
  if (mayCompact && start.compactedTo !== undefined && start.compactedTo <= target)
    return { by: 'pages', plan: { ...plan, target: start.compactedTo, kind: 'compacted' }, target };
  // Compacted pages cannot continue an ordinary transaction whose first parts the replica keeps.
  const compacted = kind === 'compacted' && mayCompact && start.part === 0;
  return { by: 'pages', plan: { ...plan, kind: compacted ? 'compacted' : 'ordinary' }, target };
}

function targetOf(run: RunState, cursor: Cursor, head: Head): Seq {
  const { target } = run;
  if (target !== null && target.epoch === cursor.epoch && target.seq <= head.seq) return target.seq;
  const { mode, upTo } = run.request;
  if (mode === 'up-to') return upTo ?? head.seq;
  // Transactions before the first one with rows for this terminal only move the cursor.
  if (mode === 'one') return seq(Math.min(head.oldest ?? cursor.seq + 1, head.seq));
  return head.seq;
}

const failure = (code: ErrorCode, params: ErrorParams = {}): Decision => ({ by: 'failure', fault: { code, params } });
