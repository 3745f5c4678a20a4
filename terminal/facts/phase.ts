import type { Fault } from '@tidemark/protocol/fault';
import type { Facts, Progress } from '@tidemark/status/facts';
import { buildingSince } from '../machine/phases/pulling.ts';
import type { State } from '../machine/state.ts';
import type { RunRecord } from '../run/record/run-record.ts';

/**
 * Converts the machine's state to facts for people. All functions are pure: they depend only on the state and the
 * record of its run.
 */

/** Returns the phase that a screen shows for the machine's state. */
export function phaseOf(state: State, record: RunRecord | null, now: number): Facts['phase'] {
  switch (state.at) {
    case 'closed':
      return { kind: state.fault === null ? 'starting' : 'idle' };
    case 'opening':
      return { kind: 'starting' };
    case 'unconfigured':
    case 'idle':
    case 'watching':
    case 'waiting-to-retry':
    case 'stopped':
      return { kind: 'idle' };
    case 'checking':
      return { kind: 'checking', since: state.run.startedAt };
    case 'cancelling':
      return { kind: 'cancelling', since: state.since };
    case 'waiting-for-snapshot':
    case 'downloading-snapshot':
    case 'installing-snapshot':
    case 'pulling':
    case 'comparing':
    case 'repairing':
      if (record === null) return { kind: 'checking', since: state.run.startedAt };
      return {
        kind: 'syncing',
        first: state.run.from === null,
        progress: record.progress(state.run, awaitedStage(state), now),
      };
  }
}

/** Between pages there is nothing to apply, so the screen shows that the run waits for the relay. */
function awaitedStage(state: State): Progress['stage'] | null {
  if (state.at !== 'pulling' || state.applying !== null) return null;
  return buildingSince(state.next) === null ? 'downloading' : 'preparing';
}

/** Returns why the replica cannot be used. Null when it can. */
export function replicaFaultOf(state: State): Fault | null {
  return state.at === 'closed' ? state.fault : null;
}

/** Returns the next automatic attempt after a failure. Null: none is planned. */
export function retryOf(state: State): Facts['retry'] {
  if (state.at === 'waiting-to-retry')
    return { attempt: (state.run.failures.streak?.attempts ?? 0) + 1, nextAt: state.retryAt };
  if (state.at === 'closed' && state.retryAt !== null) return { attempt: state.attempt + 1, nextAt: state.retryAt };
  return null;
}
