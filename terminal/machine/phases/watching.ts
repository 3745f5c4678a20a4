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
import { poll, startRun, watch } from './transitions.ts';

/** The machine follows the relay with long polls. An answer with changes starts a run, and so does a failure. */

/**
 * When a poll returns without changes before this time, ms, the relay did not hold it. A proxy may be answering in its
 * place. A poll asks the relay to hold it for 30 s.
 */
const HELD_MS = 20_000;
/** This number of fruitless polls is a fault, if the relay did not hold the last one. */
const MOST_FRUITLESS = 8;

export const watching: Handlers<'watching'> = {
  ...NO_RESULTS,
  start: startRun,
  cancel: ignore,
  pause: (state, event, context) =>
    step({ ...shared(state), at: 'idle', paused: pauseFrom(state, event, context) }, { do: 'abort' }),
  resume: ignore,
  tick,
  online: pollAgain,
  woke: pollAgain,
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
  return poll(state);
}

/** Replaces a poll whose connection may be dead. */
function pollAgain(state: StateOf<'watching'>): Step {
  return precede([{ do: 'abort' }], poll(state));
}

function pullWhatCame(state: StateOf<'watching'>, { status, heldMs }: EventOf<'polled'>, context: Context): Step {
  const run = runOf(state, context);
  if (decide(status, run, state).by !== 'nothing')
    return precede([{ do: 'began', run }], followPlan(state, run, status, context));
  if (heldMs >= HELD_MS) return poll({ ...state, fruitlessPolls: Math.floor(state.fruitlessPolls / 2) });
  const fruitlessPolls = state.fruitlessPolls + 1;
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
