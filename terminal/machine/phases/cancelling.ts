import { type Context, type Effect, type Handlers, ignore, precede, type Step, step } from '../effect.ts';
import type { EventOf } from '../event.ts';
import { type StateOf, shared } from '../state.ts';
import { NO_RESULTS } from './during-run.ts';
import { afterSettings, CHECK_AFTER_CHANGE, pauseFrom, pauseTick, withSettings } from './settings-and-pause.ts';
import { open, rest, startRun, stop } from './transitions.ts';

/** A run is being cancelled. Its work has been aborted, and must end before any other work begins. */

type Cancelling = StateOf<'cancelling'>;

export const cancelling: Handlers<'cancelling'> = {
  ...NO_RESULTS,
  start: (state, event) => (state.after === 'rest' ? step({ ...state, after: event }) : ignore(state)),
  cancel: (state) => (typeof state.after === 'object' ? step({ ...state, after: 'rest' }) : ignore(state)),
  pause: (state, event, context) => step({ ...state, paused: pauseFrom(state, event, context, state.run.request) }),
  resume: (state) =>
    step({
      ...state,
      paused: null,
      after: state.after === 'rest' ? (state.paused?.interrupted ?? 'rest') : state.after,
    }),
  tick: (state, _, context) => pauseTick(state, context),
  online: ignore,
  woke: ignore,
  settings: changeSettings,
  stop: (state) => step({ ...state, after: 'stop' }),
  // A write that ended before the cancel took effect still counts.
  applied: keepPosition,
  installed: keepPosition,
  repaired: keepPosition,
  aborted: finish,
};

function keepPosition(state: Cancelling, { cursor, start }: EventOf<'applied' | 'installed' | 'repaired'>): Step {
  return step({ ...state, cursor, start });
}

function changeSettings(state: Cancelling, event: EventOf<'settings'>, context: Context): Step {
  const changed = withSettings(state, event, context);
  if (state.after === 'stop') return step({ ...state, ...changed });
  return step({ ...state, ...changed, after: afterSettings(event) ?? state.after });
}

/** All work has ended. Ends the run and enters the next state. */
function finish(state: Cancelling, _: object, context: Context): Step {
  const ended: Effect = { do: 'ended', run: state.run, outcome: 'cancelled', fault: null };
  switch (state.after) {
    case 'stop':
      return stop(state, ended);
    case 'close':
      return step({ ...shared(state), cursor: null, at: 'unconfigured' }, ended, { do: 'close' });
    case 'reopen':
      return precede([ended, { do: 'close' }], open(state, CHECK_AFTER_CHANGE, 0));
    case 'rest':
      return precede([ended], rest(state, context));
    default:
      return precede([ended], startRun(state, state.after, context));
  }
}
