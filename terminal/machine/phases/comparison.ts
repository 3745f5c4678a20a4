import type { SnapshotManifest } from '@tidemark/protocol/api';
import type { Difference } from '@tidemark/protocol/run';
import { type Context, type Handlers, ignore, type Step, step } from '../effect.ts';
import type { EventOf } from '../event.ts';
import { hasTried, type PreparingRun, type RunState, toCopy, withProgress, withRemedy } from '../run-state.ts';
import { type Shared, type StateOf, shared } from '../state.ts';
import { endRun, failAttempt } from './attempt.ts';
import { DURING_RUN } from './during-run.ts';
import { check, compare, download, pull } from './transitions.ts';

/**
 * A run compares the replica with a snapshot of the relay, repairs the differences, and then pulls to its target. See
 * docs/protocol.md, C6 to C9.
 */

export const comparing: Handlers<'comparing'> = {
  ...DURING_RUN,
  compared: followVerdict,
  failed: replanOrRetry,
};

export const repairing: Handlers<'repairing'> = {
  ...DURING_RUN,
  // A repair uses no connection, so a wake does not disturb it.
  woke: ignore,
  repaired: (state, { cursor, start }, context) =>
    pullAfterComparison({ ...shared(state), cursor, start }, withProgress(state.run), state.manifest, context),
  failed: replanOrRetry,
};

/**
 * The relay has the snapshot. For a requested comparison, the replica must be at the snapshot's position, so the run
 * first pulls up to it.
 */
export function approach(state: Shared, run: PreparingRun<'comparison'>, manifest: SnapshotManifest): Step {
  const { cursor } = state;
  const { epoch, seq } = manifest.cursor;
  if (run.preparation.reason !== 'requested') return compare(state, run, manifest);
  const targeted = { ...run, target: manifest.cursor };
  if (cursor?.epoch !== epoch || cursor.seq >= seq) return compare(state, targeted, manifest);
  return pull(state, targeted, { epoch, scopes: manifest.scopes, target: seq, kind: 'ordinary' }, manifest);
}

function followVerdict(
  state: StateOf<'comparing'>,
  { differences, verdict }: EventOf<'compared'>,
  context: Context,
): Step {
  // A comparison is no progress yet: a failure after it discards its result.
  const { manifest, run } = state;
  if (verdict === 'copy') return copyInstead(state, run, manifest);
  const reportsOnly = run.request.mode === 'verify' && !state.policy.repair;
  if (reportsOnly && differences.length === 0) return endRun(state, run, 'done', context);
  if (reportsOnly) {
    const fault = { code: 'replica_differs' as const, params: summaryOf(differences) };
    return endRun(state, run, 'failed', context, { fault, retryAfterMs: null, progressed: false });
  }
  if (verdict === 'equal') return pullAfterComparison(state, withProgress(run), manifest, context);
  const strict = run.preparation.reason === 'altered';
  return step({ ...shared(state), at: 'repairing', run, manifest }, { do: 'repair', manifest, strict });
}

/** Downloads the snapshot with which the replica was compared. */
function copyInstead(state: Shared, run: PreparingRun<'comparison'>, manifest: SnapshotManifest): Step {
  const reason = run.preparation.reason === 'scopes-changed' ? 'scopes_changed' : 'altered';
  return download(state, toCopy(run, reason), manifest);
}

/** The replica equals the snapshot. Ends a requested comparison. Any other run pulls to its target. */
function pullAfterComparison(
  state: Shared,
  { preparation, ...before }: PreparingRun<'comparison'>,
  manifest: SnapshotManifest,
  context: Context,
): Step {
  const run: RunState = { ...before, preparation: null, basis: { by: 'comparison' } };
  const { cursor } = state;
  const { target } = run;
  if (preparation.reason === 'requested' || target === null || cursor === null)
    return endRun(state, run, 'done', context);
  if (target.epoch !== cursor.epoch) return check(state, { ...run, target: null });
  if (cursor.seq >= target.seq) return endRun(state, run, 'done', context);
  return pull(state, run, { epoch: cursor.epoch, scopes: manifest.scopes, target: target.seq, kind: 'ordinary' });
}

const MOVED = new Set(['epoch_changed', 'scope_denied', 'scopes_changed']);

function replanOrRetry(
  state: StateOf<'comparing'> | StateOf<'repairing'>,
  event: EventOf<'failed'>,
  context: Context,
): Step {
  const { run, manifest } = state;
  const { code } = event.fault;
  if (MOVED.has(code) && !hasTried(run, 'replan'))
    return check(state, withRemedy({ ...run, preparation: null }, 'replan'));
  // The replica's tables reject the rows. A snapshot replaces those tables.
  if (event.work === 'repair' && code === 'replica_altered') return copyInstead(state, run, manifest);
  return failAttempt(state, run, event, context);
}

function summaryOf(differences: Difference[]): { rows: number; tables: string } {
  const rows = differences.reduce((sum, { missing, extra, different }) => sum + missing + extra + different, 0);
  return { rows, tables: differences.map(({ table }) => table).join(', ') };
}
