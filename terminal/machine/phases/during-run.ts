import { type Context, type Handlers, ignore, type Step, step } from '../effect.ts';
import type { EventOf } from '../event.ts';
import type { RunningState, State } from '../state.ts';
import { failAttempt } from './attempt.ts';
import { afterSettings, pauseFrom, pauseTick, withSettings } from './settings-and-pause.ts';
import { cancel, check, stop } from './transitions.ts';

/** Handlers that several states share. */

/** Ignores the results of work that the state did not request. They belong to an earlier state. */
export const NO_RESULTS = {
  opened: ignore,
  probed: ignore,
  polled: ignore,
  fetched: ignore,
  applied: ignore,
  manifest: ignore,
  downloaded: ignore,
  installed: ignore,
  compared: ignore,
  repaired: ignore,
  failed: ignore,
  aborted: ignore,
} satisfies Partial<Handlers<'idle'>>;

/** Handlers of every state with a run, unless the state defines its own. */
export const DURING_RUN = {
  ...NO_RESULTS,
  start: ignore,
  cancel: (state: RunningState, _: object, context: Context) => cancel(state, 'rest', context),
  pause: pauseRun,
  resume: endPause,
  tick: (state: State, _: object, context: Context) => pauseTick(state, context),
  online: ignore,
  /** Connections from before the sleep are dead, although no error has arrived yet. */
  woke: (state: RunningState) => check(state, state.run),
  settings: changeSettings,
  stop: (state: RunningState, _: object, context: Context) => cancel(state, 'stop', context),
  failed: (state: RunningState, event: EventOf<'failed'>, context: Context) =>
    failAttempt(state, state.run, event, context),
};

function pauseRun(state: RunningState, event: EventOf<'pause'>, context: Context): Step {
  return cancel({ ...state, paused: pauseFrom(state, event, context, state.run.request) }, 'rest', context);
}

function endPause(state: State): Step {
  return step({ ...state, paused: null });
}

/** A change of relay, feed or key ends the run. */
function changeSettings(state: RunningState, event: EventOf<'settings'>, context: Context): Step {
  const changed = withSettings(state, event, context);
  const after = afterSettings(event);
  return after === null ? step({ ...state, ...changed }) : cancel({ ...state, ...changed }, after, context);
}

export const stopAtRest = (state: State): Step => stop(state, { do: 'abort' });
