import type { RelayStatus } from '@tidemark/protocol/api';
import { type Cursor, type Epoch, type Seq, seq } from '@tidemark/protocol/cursor';
import type { ErrorCode, ErrorParams } from '@tidemark/protocol/errors';
import type { Fault } from '@tidemark/protocol/fault';
import { PROTOCOL_VERSION } from '@tidemark/protocol/page';
import type { Run } from '@tidemark/protocol/run';
import type { Policy, PullPlan, RunState, Start } from './machine-types.ts';

/** What a run does after the relay's answer. */
export type Decision =
  | { by: 'nothing' }
  /** `target`: where the run ends, which may be after these pages. */
  | { by: 'pages'; plan: PullPlan; target: Seq }
  /** `target` null: the snapshot alone. */
  | { by: 'snapshot'; reason: NonNullable<Run['snapshot']>; target: Cursor | null }
  /** With a snapshot; what comes after it is pulled up to `target`. */
  | { by: 'compare'; why: NonNullable<RunState['compare']>; target: Cursor | null }
  | { by: 'failure'; fault: Fault };

type Standing = { cursor: Cursor | null; start: Start; policy: Pick<Policy, 'freshCopy' | 'repair'> };
/** `oldest`: the first transaction that the terminal lacks. */
type Head = { epoch: Epoch; seq: Seq; oldest?: Seq | undefined };

/** A terminal that follows the relay and lacks only what is this new, ms, does not wait until it is squashed. */
const FOLLOWING_MS = 10 * 60_000;

/** What a run does next, from the relay's status. A target that was fixed stays, in the same epoch. */
export function decide(status: RelayStatus, run: RunState, standing: Standing): Decision {
  const { cursor, policy } = standing;
  if (status.protocol !== PROTOCOL_VERSION) return failure('protocol_unsupported');
  if (run.mode === 'check') return { by: 'nothing' };
  const { plan } = status;
  if (status.head === null) return failure('feed_empty');
  const head: Head = { ...status.head, oldest: status.behind?.oldest };
  if (run.mode === 'up-to' && (run.wanted ?? 0) > head.seq)
    return failure('target_invalid', { target: run.wanted ?? 0 });
  if (run.mode === 'recopy' && !run.copied) {
    const asked = cursor === null ? 'first' : 'asked';
    return { by: 'snapshot', reason: plan.by === 'snapshot' ? plan.reason : asked, target: head };
  }
  const compared = comparison(status, run, cursor, head);
  if (compared !== null) return compared;
  const onlyShows = run.mode === 'verify' && !policy.repair;
  if (onlyShows && cursor === null) return failure('replica_empty');
  if (plan.by === 'none') return { by: 'nothing' };
  if (plan.by === 'pages')
    return pages(run, standing, head, { ...plan, squashed: plan.squashed && !isFollowing(run, status) });
  if (plan.by === 'difference') return failure('scopes_changed');
  if (onlyShows && plan.reason !== 'cheaper' && plan.reason !== 'first') return failure(plan.reason);
  switch (plan.reason) {
    case 'cheaper':
      // Whoever wants a certain transaction cannot have it from a copy, which is newer.
      if (run.mode !== 'now') return pages(run, standing, head, { scopes: plan.scopes, squashed: false });
      return { by: 'snapshot', reason: plan.reason, target: head };
    case 'first':
      return { by: 'snapshot', reason: plan.reason, target: firstTarget(run, head) };
    case 'scopes_changed':
      return { by: 'snapshot', reason: plan.reason, target: head };
    case 'cursor_ahead':
      return failure('cursor_ahead');
    case 'behind_horizon':
    case 'epoch_changed':
      // Nobody is there to be asked when the schedule pulls.
      return policy.freshCopy === 'take' || run.trigger === 'schedule' || run.trigger === 'start'
        ? { by: 'snapshot', reason: plan.reason, target: head }
        : failure(plan.reason);
  }
}

/** Whether the run goes on by a comparison; null: it does not. */
function comparison({ plan }: RelayStatus, run: RunState, cursor: Cursor | null, head: Head): Decision | null {
  if (cursor === null) return null;
  if (run.compared || run.copied) return null;
  if (plan.by === 'difference') return { by: 'compare', why: 'difference', target: head };
  // A cursor ahead of the relay is of a history that was lost: what differs from what is left is repaired.
  const comparable = plan.by !== 'snapshot' || plan.reason === 'cheaper' || plan.reason === 'cursor_ahead';
  if (!comparable) return null;
  if (run.compare === 'altered') {
    const target = run.mode === 'verify' ? null : { epoch: cursor.epoch, seq: targetOf(run, cursor, head) };
    return { by: 'compare', why: 'altered', target };
  }
  return run.mode === 'verify' ? { by: 'compare', why: 'asked', target: null } : null;
}

function firstTarget({ mode, wanted }: RunState, { epoch, seq }: Head): Cursor | null {
  if (mode === 'one') return null;
  return { epoch, seq: mode === 'up-to' ? (wanted ?? seq) : seq };
}

function isFollowing({ trigger }: RunState, { behind, now }: RelayStatus): boolean {
  const oldestAt = behind?.oldestAt ?? null;
  return trigger === 'watch' && oldestAt !== null && now - oldestAt < FOLLOWING_MS;
}

type Offer = Pick<PullPlan, 'scopes' | 'squashed'>;

function pages(run: RunState, { cursor, start }: Standing, head: Head, { scopes, squashed }: Offer): Decision {
  if (cursor === null) return failure('page_invalid', { detail: 'the relay offers pages to a PC without data' });
  const target = targetOf(run, cursor, head);
  if (target <= cursor.seq) return { by: 'nothing' };
  const whole = { epoch: cursor.epoch, scopes, target };
  const may = run.mode === 'now' && !run.plain;
  // What is kept aside of squashed pages is gone on with as far as they reach.
  if (may && start.squashed !== undefined && start.squashed <= target)
    return { by: 'pages', plan: { ...whole, target: start.squashed, squashed: true }, target };
  return { by: 'pages', plan: { ...whole, squashed: squashed && may && start.part === 0 }, target };
}

function targetOf(run: RunState, cursor: Cursor, head: Head): Seq {
  const fixed =
    run.target !== null && run.target.epoch === cursor.epoch && run.target.seq <= head.seq ? run.target.seq : null;
  if (fixed !== null) return fixed;
  if (run.mode === 'up-to') return run.wanted ?? head.seq;
  // What lies before the next transaction of its own is for others.
  if (run.mode === 'one') return seq(Math.min(head.oldest ?? cursor.seq + 1, head.seq));
  return head.seq;
}

const failure = (code: ErrorCode, params: ErrorParams = {}): Decision => ({ by: 'failure', fault: { code, params } });
