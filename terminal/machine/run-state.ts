import type { Cursor, Seq } from '@tidemark/protocol/cursor';
import type { Mode, Run, Trigger } from '@tidemark/protocol/run';

/**
 * A run while it is under way: its request, its target, and its history so far. Plain data, changed only by copying it.
 */

/** A request of a person, the schedule or a command. */
export interface RunRequest {
  mode: Mode;
  trigger: Trigger;
  /** The transaction at which mode `up-to` ends; null in the other modes. */
  upTo: Seq | null;
}

/** Why a run installs a snapshot. */
export type SnapshotReason = NonNullable<Run['snapshot']>;

/**
 * Why a run compares the replica with a snapshot:
 * - `requested`: a person wants to know. The run first pulls to the snapshot's seq, so that only real differences count.
 * - `scopes-changed`: the set of scopes changed. The comparison finds the rows to add and to remove.
 * - `altered`: another program changed tables of the feed.
 * The last two compare at once, whatever the replica's cursor, and the repair moves it to the snapshot's position.
 */
export type ComparisonReason = 'requested' | 'scopes-changed' | 'altered';

/** The preparation that a run needs before it may pull pages to its target. */
export type Preparation = { by: 'snapshot'; reason: SnapshotReason } | { by: 'comparison'; reason: ComparisonReason };

/** The basis of a run's pages: the replica as the run found it, the replica after a comparison, or a snapshot. */
export type Basis =
  | { by: 'replica' }
  /** A run compares and repairs once. A page that still does not fit then is a fault. */
  | { by: 'comparison' }
  | { by: 'snapshot'; reason: SnapshotReason };

/**
 * A way out of a failure that a run takes at most once, so that it cannot go in circles:
 * - `refetch`: pages are fetched past caches, because a page was not understood.
 * - `ordinary-pages`: compacted pages are unavailable or useless, so the run uses ordinary ones.
 * - `replan`: the relay is asked for a new plan, because its history or this terminal's scopes changed during the run.
 */
export type Remedy = 'refetch' | 'ordinary-pages' | 'replan';

/** Failed attempts of a run. */
export interface Failures {
  /** In all. */
  total: number;
  /** Since the last progress, and when the first of them failed, ms since 1970; null: none. */
  streak: { attempts: number; since: number } | null;
}

export interface RunState {
  id: string;
  request: RunRequest;
  /** ms since 1970. */
  startedAt: number;
  from: Cursor | null;
  /** Where the run ends, so that a busy master cannot make it endless; null until its first plan, or: at a snapshot. */
  target: Cursor | null;
  /** Still to be done before pages; null: nothing. It survives a retry. */
  preparation: Preparation | null;
  basis: Basis;
  tried: readonly Remedy[];
  failures: Failures;
}

/** A run with a certain preparation still to be done. */
export type PreparingRun<By extends Preparation['by']> = RunState & { preparation: Extract<Preparation, { by: By }> };

export function newRun(id: string, request: RunRequest, from: Cursor | null, startedAt: number): RunState {
  const { mode, trigger, upTo } = request;
  return {
    id,
    request: { mode, trigger, upTo },
    startedAt,
    from,
    target: null,
    preparation: null,
    basis: { by: 'replica' },
    tried: [],
    failures: { total: 0, streak: null },
  };
}

/** The run after progress: the waits between its attempts start small again. */
export function withProgress<R extends RunState>(run: R): R {
  return run.failures.streak === null ? run : { ...run, failures: { ...run.failures, streak: null } };
}

/** The run after a failed attempt at `now`. */
export function withFailure(
  run: RunState,
  now: number,
): RunState & { failures: { streak: NonNullable<Failures['streak']> } } {
  const { total, streak } = run.failures;
  const failures = {
    total: total + 1,
    streak: { attempts: (streak?.attempts ?? 0) + 1, since: streak?.since ?? now },
  };
  return { ...run, failures };
}

export function hasTried(run: RunState, remedy: Remedy): boolean {
  return run.tried.includes(remedy);
}

export function withRemedy<R extends RunState>(run: R, remedy: Remedy): R {
  return hasTried(run, remedy) ? run : { ...run, tried: [...run.tried, remedy] };
}

/** The run that will compare the replica. */
export function toCompare(run: RunState, reason: ComparisonReason): PreparingRun<'comparison'> {
  return { ...run, preparation: { by: 'comparison', reason } };
}

/** The run that will install a snapshot. */
export function toCopy(run: RunState, reason: SnapshotReason): PreparingRun<'snapshot'> {
  return { ...run, preparation: { by: 'snapshot', reason } };
}
