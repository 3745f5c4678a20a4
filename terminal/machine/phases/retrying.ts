import { LONGEST_ASKED_MS } from '@tidemark/protocol/retry-wait';
import { type Context, type Handlers, ignore, precede, type Step, step } from '../effect.ts';
import type { EventOf } from '../event.ts';
import { isDue, LONGEST_MS } from '../retry-wait.ts';
import { type StateOf, shared } from '../state.ts';
import { endRun } from './attempt.ts';
import { DURING_RUN } from './during-run.ts';
import { pauseFrom, pauseTick, settingsAtRest, withSettings } from './settings-and-pause.ts';
import { check, startRun, stop } from './transitions.ts';

/** A run waits after a failed attempt. Nothing is in flight, so the run can end at once. */

type Waiting = StateOf<'waiting-to-retry'>;

export const waitingToRetry: Handlers<'waiting-to-retry'> = {
  ...DURING_RUN,
  start: retryOrReplace,
  cancel: (state, _, context) => endRun(state, state.run, 'cancelled', context),
  pause: (state, event, context) =>
    giveUp({ ...state, paused: pauseFrom(state, event, context, state.run.request) }, context),
  tick: (state, _, context) =>
    isDue(state.retryAt, context.now, LONGEST_ASKED_MS + LONGEST_MS)
      ? check(state, state.run)
      : pauseTick(state, context),
  online: (state) => check(state, state.run),
  settings: changeSettings,
  stop: (state) => {
    const { run, failure } = state;
    return stop(state, { do: 'ended', run, outcome: 'failed', fault: failure.fault });
  },
  failed: ignore,
};

/** A repeated request ends the wait. A different one ends this run. */
function retryOrReplace(state: Waiting, event: EventOf<'start'>, context: Context): Step {
  const { mode, upTo } = state.run.request;
  if (event.mode === mode && event.upTo === upTo) return check(state, state.run);
  const { state: ended, effects } = giveUp(state, context);
  return precede(effects, startRun({ ...shared(ended), at: 'idle' }, event, context));
}

function changeSettings(state: Waiting, event: EventOf<'settings'>, context: Context): Step {
  if (event.feed === 'same' && event.connection === 'same')
    return step({ ...state, ...withSettings(state, event, context) });
  const { state: ended, effects } = giveUp(state, context);
  return precede(effects, settingsAtRest({ ...shared(ended), at: 'idle' }, event, context, true));
}

/** Ends the run with its last failure. */
function giveUp(state: Waiting, context: Context): Step {
  return endRun(state, state.run, 'failed', context, state.failure);
}
