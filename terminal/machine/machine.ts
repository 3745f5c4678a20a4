import type { Context, Handlers, Step } from './effect.ts';
import type { Event } from './event.ts';
import { closed, idle, opening, stopped, unconfigured } from './phases/at-rest.ts';
import { cancelling } from './phases/cancelling.ts';
import { checking } from './phases/checking.ts';
import { comparing, repairing } from './phases/comparison.ts';
import { pulling } from './phases/pulling.ts';
import { waitingToRetry } from './phases/retrying.ts';
import { downloadingSnapshot, installingSnapshot, waitingForSnapshot } from './phases/snapshot.ts';
import { watching } from './phases/watching.ts';
import { NOWHERE, type Pause, type Policy, type State, type StateName } from './state.ts';

/**
 * The terminal's sync as a pure state machine: (state, event, context) → (state, effects).
 *
 * Each state has a table in `phases/` with one handler for each event. A missing state or event does not compile. This
 * folder does no I/O, reads no clock and keeps nothing between steps: the agent performs the effects and sends their
 * results as events. See docs/decisions/2026-11-25-own-state-machine.md.
 */
const TABLE: { [S in StateName]: Handlers<S> } = {
  unconfigured,
  closed,
  opening,
  idle,
  watching,
  checking,
  'waiting-for-snapshot': waitingForSnapshot,
  'downloading-snapshot': downloadingSnapshot,
  'installing-snapshot': installingSnapshot,
  pulling,
  comparing,
  repairing,
  'waiting-to-retry': waitingToRetry,
  cancelling,
  stopped,
};

/** The state before the first event. `paused`: a pause that began in an earlier process and has not ended. */
export function initial(policy: Policy, paused: Omit<Pause, 'interrupted'> | null): State {
  return {
    at: 'closed',
    configured: false,
    policy,
    cursor: null,
    start: NOWHERE,
    paused: paused && { ...paused, interrupted: null },
    nextAt: null,
    fruitlessPolls: 0,
    replacements: null,
    fault: null,
    attempt: 0,
    retryAt: null,
  };
}

/** Handles one event. */
export function next(state: State, event: Event, context: Context): Step {
  const handler = TABLE[state.at][event.type] as (state: State, event: Event, context: Context) => Step;
  return handler(state, event, context);
}

/** Returns when the machine needs its next tick, ms since 1970. Null: it waits only for other events. */
export function dueAt(state: State): number | null {
  const times: (number | null)[] = [state.paused?.until ?? null];
  if ('retryAt' in state) times.push(state.retryAt);
  if (state.at === 'waiting-for-snapshot') times.push(state.askAt);
  if (state.at === 'watching') times.push(state.pollAt);
  if (state.at === 'pulling' && state.next.is === 'building') times.push(state.next.askAt);
  if ((state.at === 'idle' || state.at === 'watching') && state.paused === null) times.push(state.nextAt);
  const known = times.filter((time) => time !== null);
  return known.length === 0 ? null : Math.min(...known);
}
