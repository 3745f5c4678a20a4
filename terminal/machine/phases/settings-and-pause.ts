import { type Context, type Effect, ignore, precede, type Step, step } from '../effect.ts';
import type { EventOf } from '../event.ts';
import type { RunRequest } from '../run-state.ts';
import { type AfterCancel, type Pause, type Shared, type State, shared } from '../state.ts';
import { open, rest, startAutomaticRun, startRun } from './transitions.ts';

/** Handles settings and pauses, which can change in every state. */

/** The request for the check that follows a change of relay, feed or key. */
export const CHECK_AFTER_CHANGE: RunRequest = { mode: 'check', trigger: 'start', upTo: null };

/** Applies new settings to the fields that all states share. A new interval counts from now. */
export function withSettings(state: Shared, event: EventOf<'settings'>, context: Context): Shared {
  const { policy, connection } = event;
  const unchanged = policy.everyMs === state.policy.everyMs;
  const nextAt = unchanged ? state.nextAt : policy.everyMs === null ? null : context.now + policy.everyMs;
  const fruitlessPolls = connection === 'changed' ? 0 : state.fruitlessPolls;
  return { ...shared(state), configured: connection !== 'none', policy, nextAt, fruitlessPolls };
}

/** Applies new settings while no run is under way. `isOpen`: whether the replica is open. */
export function settingsAtRest(state: State, event: EventOf<'settings'>, context: Context, isOpen: boolean): Step {
  const changed = withSettings(state, event, context);
  const poll: Effect[] = state.at === 'watching' ? [{ do: 'abort' }] : [];
  if (event.feed === 'none') return step({ ...changed, cursor: null, at: 'unconfigured' }, ...poll, { do: 'close' });
  if (event.feed === 'changed' || !isOpen) return precede([...poll, { do: 'close' }], open(changed, 'start-up', 0));
  if (event.connection === 'none') return precede(poll, rest(changed, context));
  if (event.connection === 'changed')
    return precede(poll, startRun({ ...changed, at: 'idle' }, CHECK_AFTER_CHANGE, context));
  if (state.at === 'watching' && event.policy.watch) return step({ ...state, ...changed });
  return precede(poll, rest(changed, context));
}

/** Returns the state that follows when new settings end the run. Null: the run continues. */
export function afterSettings(event: EventOf<'settings'>): AfterCancel | null {
  if (event.feed === 'none') return 'close';
  if (event.feed === 'changed') return 'reopen';
  if (event.connection === 'none') return 'rest';
  return event.connection === 'changed' ? CHECK_AFTER_CHANGE : null;
}

/** Creates a pause. When it extends another one, it keeps that pause's start and interrupted run. */
export function pauseFrom(
  state: State,
  event: EventOf<'pause'>,
  context: Context,
  interrupted: RunRequest | null = null,
): Pause {
  const before = state.paused;
  return {
    since: before?.since ?? context.now,
    until: event.until,
    by: event.by,
    interrupted: interrupted ?? before?.interrupted ?? null,
  };
}

/**
 * Ends a pause. At rest, continues the interrupted run, or starts an automatic one so that people see the present
 * state.
 */
export function resume(state: State, context: Context): Step {
  const resumed: State = { ...state, paused: null };
  if (state.paused === null || resumed.at !== 'idle') return step(resumed);
  if (state.paused.interrupted) return startRun(resumed, state.paused.interrupted, context);
  if (resumed.policy.watch) return rest(resumed, context);
  return resumed.policy.everyMs === null
    ? startRun(resumed, { mode: 'check', trigger: 'manual', upTo: null }, context)
    : startAutomaticRun(resumed, 'schedule', context);
}

export function isPauseOver({ paused }: State, { now }: Context): boolean {
  return paused !== null && paused.until !== null && now >= paused.until;
}

/** Handles a tick in a state that waits only for the end of a pause. */
export function pauseTick(state: State, context: Context): Step {
  return isPauseOver(state, context) ? resume(state, context) : ignore(state);
}
