import { decide } from '../decision.ts';
import { type Context, type Handlers, ignore, precede, type Step, step } from '../effect.ts';
import type { EventOf } from '../event.ts';
import { isDue, LONGEST_MS } from '../retry-wait.ts';
import { newRun, type RunState } from '../run-state.ts';
import { type StateOf, shared } from '../state.ts';
import { scheduleTick } from './at-rest.ts';
import { failAttempt, failRun } from './attempt.ts';
import { followPlan } from './checking.ts';
import { NO_RESULTS, stopAtRest } from './during-run.ts';
import { pauseFrom, settingsAtRest } from './settings-and-pause.ts';
import { startRun, watch } from './transitions.ts';

/** The machine follows the relay with long polls. An answer with changes starts a run, and so does a failure. */

/**
 * When a poll returns without changes before this time, ms, the relay did not hold it. A proxy may be answering in its
 * place.
 */
const HELD_MS = 1_000;
/** So many fruitless polls in a row are a fault, if the last one was not held. */
const MOST_FRUITLESS = 8;

export const watching: Handlers<'watching'> = {
  ...NO_RESULTS,
  start: startRun,
  cancel: ignore,
  pause: (state, event, context) =>
    step({ ...shared(state), at: 'idle', paused: pauseFrom(state, event, context) }, { do: 'abort' }),
  resume: ignore,
  tick,
  online: (state, { online }, context) => (online ? pollAgain(state, context) : ignore(state)),
  woke: (state, _, context) => pollAgain(state, context),
  settings: (state, event, context) => settingsAtRest(state, event, context, true),
  stop: stopAtRest,
  polled: pullWhatCame,
  failed: (state, event, context) => {
    const run = runOf(state, context);
    return precede([{ do: 'began', run }], failAttempt(state, run, event, context));
  },
};

function tick(state: StateOf<'watching'>, _: object, context: Context): Step {
  const due = scheduleTick(state, context);
  if (due) return due;
  if (!isDue(state.pollAt, context.now, LONGEST_MS)) return ignore(state);
  return step({ ...state, since: context.now, pollAt: null }, { do: 'poll' });
}

/** Replaces a poll whose connection may be dead. */
function pollAgain(state: StateOf<'watching'>, context: Context): Step {
  return step({ ...state, since: context.now, pollAt: null }, { do: 'abort' }, { do: 'poll' });
}

function pullWhatCame(state: StateOf<'watching'>, { status }: EventOf<'polled'>, context: Context): Step {
  const run = runOf(state, context);
  if (decide(status, run, state).by !== 'nothing')
    return precede([{ do: 'began', run }], followPlan(state, run, status, context));
  const held = context.now - state.since >= HELD_MS;
  const fruitlessPolls = held ? 0 : state.fruitlessPolls + 1;
  if (fruitlessPolls < MOST_FRUITLESS) return watch({ ...state, fruitlessPolls }, context);
  const fault = { code: 'relay_no_progress' as const, params: {} };
  return precede(
    [{ do: 'began', run }],
    failRun(state, run, { fault, retryAfterMs: null, progressed: false }, context),
  );
}

function runOf({ cursor }: StateOf<'watching'>, context: Context): RunState {
  return newRun(context.newId(), { mode: 'now', trigger: 'watch', upTo: null }, cursor, context.now);
}
