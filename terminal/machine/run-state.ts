import type { Cursor, Seq } from '@tidemark/protocol/cursor';
import type { Mode, Run, Trigger } from '@tidemark/protocol/run';

/**
 * A run under way: its request, its target and its history so far. It is plain data, and changes only by being copied.
 */

/** The request of a person, the schedule or a command. */
export interface RunRequest {
  mode: Mode;
  trigger: Trigger;
  /** The transaction at which mode `up-to` ends. Null in the other modes. */
  upTo: Seq | null;
}

/** Why a run installs a snapshot. */
export type SnapshotReason = NonNullable<Run['snapshot']>;

/**
 * Why a run compares the replica with a snapshot:
 * - `requested`: a person asked for it. The run first pulls to the snapshot's seq, so that only real differences count.
 * - `scopes-changed`: the set of scopes changed. The comparison finds the rows to add and to remove.
 * - `altered`: another program changed the feed's tables.
 * The last two compare at once, whatever the replica's cursor. The repair moves the cursor to the snapshot's position.
 */
export type ComparisonReason = 'requested' | 'scopes-changed' | 'altered';

/** The work that a run must do before it may pull pages to its target. */
export type Preparation = { by: 'snapshot'; reason: SnapshotReason } | { by: 'comparison'; reason: ComparisonReason };

/** The state of the replica that a run's pages continue: unchanged, after a comparison, or from a snapshot. */
export type Basis =
  | { by: 'replica' }
  /** A run compares and repairs at most once. If a page still does not fit after that, the run fails. */
  | { by: 'comparison' }
  | { by: 'snapshot'; reason: SnapshotReason };

/**
 * A remedy that a run tries at most once, so that it cannot loop:
 * - `refetch`: fetches pages past caches, because the run received an invalid page.
 * - `ordinary-pages`: uses ordinary pages, because compacted ones are unavailable or useless.
 * - `replan`: asks the relay for a new plan, because its history or this terminal's scopes changed during the run.
 */
export type Remedy = 'refetch' | 'ordinary-pages' | 'replan';

/** Failed attempts of a run. */
export interface Failures {
  /** Number of failed attempts in the run. */
  total: number;
  /**
   * Number of failed attempts since the last progress, and the time of the first of them, ms since 1970. Null: none.
   */
  streak: { attempts: number; since: number } | null;
}

export interface RunState {
  id: string;
  request: RunRequest;
  /** When the run started, ms since 1970. */
  startedAt: number;
  from: Cursor | null;
  /**
   * Where the run ends. It is fixed, so that a busy master cannot make the run endless. Null until the first plan, or
   * when the run ends at a snapshot.
   */
  target: Cursor | null;
  /** Work that must be done before pages. It survives a retry. Null: none. */
  preparation: Preparation | null;
  basis: Basis;
  tried: readonly Remedy[];
  failures: Failures;
}

/** A run whose preparation is still to be done. */
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

/** Returns the run after progress, with an empty streak of failures, so that the next waits are short again. */
export function withProgress<R extends RunState>(run: R): R {
  return run.failures.streak === null ? run : { ...run, failures: { ...run.failures, streak: null } };
}

/** Returns the run after a failed attempt at `now`. */
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

/** Returns the run with a comparison as its preparation. */
export function toCompare(run: RunState, reason: ComparisonReason): PreparingRun<'comparison'> {
  return { ...run, preparation: { by: 'comparison', reason } };
}

/** Returns the run with a snapshot as its preparation. */
export function toCopy(run: RunState, reason: SnapshotReason): PreparingRun<'snapshot'> {
  return { ...run, preparation: { by: 'snapshot', reason } };
}
