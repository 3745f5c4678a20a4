import type { SnapshotManifest } from '@tidemark/protocol/api';
import type { PageStart } from '@tidemark/protocol/cursor';
import type { ErrorCode } from '@tidemark/protocol/errors';
import type { Fault } from '@tidemark/protocol/fault';
import { type Context, type Effect, precede, type Step, step } from '../effect.ts';
import { isDue, waitMs } from '../retry-wait.ts';
import { hasTried, newRun, type PreparingRun, type RunRequest, type RunState } from '../run-state.ts';
import {
  type AfterCancel,
  NOWHERE,
  type PullPlan,
  type RunningState,
  type Shared,
  type State,
  type StateOf,
  shared,
} from '../state.ts';

/**
 * How the machine enters each of its states, with the effects that begin the state's work. No function in this module
 * reads an event.
 */

/**
 * Enters the state without a run. With `watch` in its policy, the machine follows the relay. After a failure that would
 * occur again it enters `idle` instead.
 */
export function rest(state: Shared, context: Context, after: 'anything' | 'failure' = 'anything'): Step {
  const base = shared(state);
  if (!base.configured) return step({ ...base, at: 'unconfigured' });
  if (base.policy.watch && base.paused === null && after !== 'failure') return watch(base, context);
  return step({ ...base, at: 'idle' });
}

/**
 * Polls the relay at once. After polls that returned too early, first waits for a time that grows with their number.
 */
export function watch(state: Shared, context: Context): Step {
  const watching = { ...shared(state), at: 'watching' as const };
  if (state.fruitlessPolls === 0) return poll(state);
  return step({ ...watching, pollAt: context.now + waitMs(state.fruitlessPolls, null, context.random()) });
}

/** Polls the relay at once. */
export function poll(state: Shared): Step {
  return step({ ...shared(state), at: 'watching', pollAt: null }, { do: 'poll' });
}

/** `checked`: a damaged file is renamed first. */
export function open(state: Shared, after: StateOf<'opening'>['after'], attempt: number, checked = false): Step {
  return step(
    { ...shared(state), cursor: null, start: NOWHERE, at: 'opening', attempt, after, checked },
    { do: 'open', checked },
  );
}

/**
 * Faults of the file's surroundings: its path, its permissions, its disk. A person corrects them outside of this
 * program, and an open connection may be to a file that no longer has the name. The machine therefore closes the replica
 * and opens it again later.
 */
const SURROUNDINGS: ReadonlySet<ErrorCode> = new Set(['db_unavailable', 'db_read_only']);

export const isOfSurroundings = ({ code }: Fault): boolean => SURROUNDINGS.has(code);

/** Closes the replica after a fault of its surroundings. `attempt`: number of such failures in a row. */
export function closeFor(state: Shared, fault: Fault, attempt: number, context: Context): Step {
  const retryAt = context.now + waitMs(attempt, null, context.random());
  return step(
    { ...shared(state), cursor: null, start: NOWHERE, at: 'closed', fault, attempt, retryAt },
    { do: 'close' },
  );
}

/**
 * Starts a run at rest. A damaged file cannot take a fresh copy, so a run in mode `recopy` first closes the replica and
 * opens it again with a check.
 */
export function startRun(state: State, request: RunRequest, context: Context): Step {
  if (request.mode !== 'recopy') return beginRun(state, request, context);
  const { mode, trigger, upTo } = request;
  return precede([...abortPoll(state), { do: 'close' }], open(state, { mode, trigger, upTo }, 0, true));
}

/** Begins a run in the open replica. */
export function beginRun(state: State, request: RunRequest, context: Context): Step {
  const run = newRun(context.newId(), request, state.cursor, context.now);
  return step({ ...shared(state), at: 'checking', run }, ...abortPoll(state), { do: 'began', run }, { do: 'probe' });
}

const abortPoll = ({ at }: State): Effect[] => (at === 'watching' ? [{ do: 'abort' }] : []);

/**
 * Starts a run that no person requested. It pulls when a pull is due. On a terminal without data it only checks,
 * because a person decides when to download the first copy.
 */
export function startAutomaticRun(state: State, trigger: 'start' | 'schedule', context: Context): Step {
  const due = trigger === 'schedule' || isDue(state.nextAt, context.now, state.policy.everyMs ?? 0);
  const pulls = state.policy.automatic === 'sync' && state.cursor !== null && due;
  return startRun(state, { mode: pulls ? 'now' : 'check', trigger, upTo: null }, context);
}

/** Asks the relay for a plan, or for a new one. */
export function check(state: Shared, run: RunState): Step {
  return step({ ...shared(state), at: 'checking', run }, { do: 'abort' }, { do: 'probe' });
}

export function pull(state: Shared, run: RunState, plan: PullPlan, compareWith: SnapshotManifest | null = null): Step {
  const { start } = state;
  const pulling = { ...shared(state), at: 'pulling' as const, run, plan, applying: null, compareWith };
  // Ordinary pages cannot continue the kept parts of a compacted transaction.
  if (start.compactedTo !== undefined && plan.kind === 'ordinary')
    return step({ ...pulling, next: { is: 'none' } }, { do: 'discard' });
  return step({ ...pulling, next: { is: 'requested', start, buildingSince: null } }, fetchPage(run, plan, start));
}

/** Requests a page. After a failure the request bypasses caches, because a cached page may have caused the failure. */
export function fetchPage(run: RunState, plan: PullPlan, start: PageStart): Effect {
  return { do: 'fetch', plan, start, fresh: run.failures.streak !== null || hasTried(run, 'refetch') };
}

export function requestSnapshot(state: Shared, run: StateOf<'waiting-for-snapshot'>['run'], context: Context): Step {
  return step(
    { ...shared(state), at: 'waiting-for-snapshot', run, since: context.now, askAt: null },
    { do: 'manifest' },
  );
}

export function download(state: Shared, run: PreparingRun<'snapshot'>, manifest: SnapshotManifest): Step {
  return step({ ...shared(state), at: 'downloading-snapshot', run, manifest }, { do: 'download', manifest });
}

export function compare(state: Shared, run: PreparingRun<'comparison'>, manifest: SnapshotManifest): Step {
  const mayCopy = run.request.mode !== 'verify' || state.policy.repair;
  return step({ ...shared(state), at: 'comparing', run, manifest }, { do: 'compare', manifest, mayCopy });
}

/** Aborts the work of a run. The run ends once that work has ended. */
export function cancel(state: RunningState, after: AfterCancel, context: Context): Step {
  return step({ ...shared(state), at: 'cancelling', run: state.run, since: context.now, after }, { do: 'abort' });
}

export function stop(state: Shared, ...before: Effect[]): Step {
  return precede(before, step({ ...shared(state), at: 'stopped' }, { do: 'close' }));
}
