import { ERRORS } from '@tidemark/protocol/errors';
import { type Context, type Handlers, ignore, type Step, step } from '../effect.ts';
import type { EventOf } from '../event.ts';
import { isDue, LONGEST_MS, waitMs } from '../retry-wait.ts';
import { type Shared, type State, type StateOf, shared } from '../state.ts';
import { NO_RESULTS, stopAtRest } from './during-run.ts';
import { isPauseOver, pauseFrom, pauseTick, resume, settingsAtRest } from './settings-and-pause.ts';
import { beginRun, closeFor, isOfSurroundings, open, rest, startAutomaticRun, startRun } from './transitions.ts';

/**
 * The states without a run: before the replica is open, between runs, and after the end. watching.ts has the state that
 * follows the relay.
 */

/** Handlers that the states without an open replica share. */
const NOT_OPEN = {
  ...NO_RESULTS,
  pause: pauseAtRest,
  resume: (state: State) => step({ ...state, paused: null }),
  tick: (state: State, _: object, context: Context) => pauseTick(state, context),
  online: ignore,
  woke: ignore,
  settings: (state: State, event: EventOf<'settings'>, context: Context) =>
    settingsAtRest(state, event, context, false),
  stop: stopAtRest,
};

export const unconfigured: Handlers<'unconfigured'> = { ...NOT_OPEN, start: ignore, cancel: ignore };

export const closed: Handlers<'closed'> = {
  ...NOT_OPEN,
  start: reopen,
  cancel: (state) => step({ ...state, retryAt: null }),
  tick: (state, _, context) =>
    isDue(state.retryAt, context.now, LONGEST_MS) ? open(state, 'start-up', state.attempt) : pauseTick(state, context),
};

export const opening: Handlers<'opening'> = {
  ...NOT_OPEN,
  start: (state, event) => step({ ...state, after: event }),
  cancel: (state) => step({ ...state, after: null }),
  opened: beginAfterOpening,
  failed: closeAfterFailure,
};

export const idle: Handlers<'idle'> = {
  ...NO_RESULTS,
  start: startRun,
  cancel: ignore,
  pause: pauseAtRest,
  resume: (state, _, context) => resume(state, context),
  tick: (state, _, context) => scheduleTick(state, context) ?? ignore(state),
  online: ignore,
  woke: (state, _, context) => (state.paused === null ? startAutomaticRun(state, 'start', context) : ignore(state)),
  settings: (state, event, context) => settingsAtRest(state, event, context, true),
  stop: stopAtRest,
  failed: (state, { fault }, context) => (isOfSurroundings(fault) ? closeFor(state, fault, 1, context) : ignore(state)),
};

export const stopped: Handlers<'stopped'> = {
  ...NO_RESULTS,
  start: ignore,
  cancel: ignore,
  pause: ignore,
  resume: ignore,
  tick: ignore,
  online: ignore,
  woke: ignore,
  settings: ignore,
  stop: ignore,
};

function reopen(state: StateOf<'closed'>, event: EventOf<'start'>): Step {
  return open(state, event, state.attempt, event.mode === 'recopy');
}

/**
 * The replica is open. Starts the run that was requested meanwhile, otherwise the one that the policy requires at a
 * start.
 */
function beginAfterOpening(state: StateOf<'opening'>, event: EventOf<'opened'>, context: Context): Step {
  const { cursor, start, lastRunAt } = event;
  const { everyMs } = state.policy;
  const opened: Shared = {
    ...shared(state),
    cursor,
    start,
    // A replica whose history has no such run is due at once.
    nextAt: everyMs === null ? null : (lastRunAt ?? context.now - everyMs) + everyMs,
  };
  if (!opened.configured || state.after === null) return rest(opened, context);
  if (state.after !== 'start-up')
    return (state.checked ? beginRun : startRun)({ ...opened, at: 'idle' }, state.after, context);
  if (opened.paused !== null || opened.policy.watch || !opened.policy.checkAtStart) return rest(opened, context);
  return startAutomaticRun({ ...opened, at: 'idle' }, 'start', context);
}

function closeAfterFailure(state: StateOf<'opening'>, { fault }: EventOf<'failed'>, context: Context): Step {
  const attempt = state.attempt + 1;
  const mayPass = ERRORS[fault.code].retry || isOfSurroundings(fault);
  const retryAt = mayPass ? context.now + waitMs(attempt, null, context.random()) : null;
  return step({ ...shared(state), at: 'closed', fault, attempt, retryAt });
}

function pauseAtRest(state: State, event: EventOf<'pause'>, context: Context): Step {
  return step({ ...state, paused: pauseFrom(state, event, context) });
}

/** Ends a pause or starts an automatic run when it is due. Null: nothing is due. */
export function scheduleTick(state: StateOf<'idle'> | StateOf<'watching'>, context: Context): Step | null {
  if (isPauseOver(state, context)) return resume(state, context);
  if (state.paused === null && isDue(state.nextAt, context.now, state.policy.everyMs ?? 0))
    return startAutomaticRun(state, 'schedule', context);
  return null;
}
