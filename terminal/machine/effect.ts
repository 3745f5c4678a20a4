import type { SnapshotManifest } from '@tidemark/protocol/api';
import type { PageStart } from '@tidemark/protocol/cursor';
import type { Fault } from '@tidemark/protocol/fault';
import type { Run } from '@tidemark/protocol/run';
import type { EventName, EventOf, Failure } from './event.ts';
import type { RunState } from './run-state.ts';
import type { ArrivedPage, PullPlan, State, StateName, StateOf } from './state.ts';

/**
 * Effects: the work that the sync machine requests, and the type of its event handlers. The agent performs the effects
 * of a step in order.
 */
export type Effect =
  /** `checked`: first renames a file whose pages are damaged, so that the replica starts empty. */
  | { do: 'open'; checked: boolean }
  | { do: 'close' }
  /** Ends all work in flight and drops its results. The event `aborted` follows. */
  | { do: 'abort' }
  | { do: 'probe' }
  | { do: 'poll' }
  /** `fresh`: bypasses caches. */
  | { do: 'fetch'; plan: PullPlan; start: PageStart; fresh: boolean }
  /**
   * Drops the kept parts of a compacted transaction. The event `applied` follows, with the start of that transaction.
   */
  | { do: 'discard' }
  | { do: 'apply'; page: ArrivedPage; kind: PullPlan['kind'] }
  | { do: 'manifest' }
  | { do: 'download'; manifest: SnapshotManifest }
  | { do: 'install'; manifest: SnapshotManifest }
  /** `mayCopy`: the comparison may end early when a snapshot costs less. */
  | { do: 'compare'; manifest: SnapshotManifest; mayCopy: boolean }
  /** `strict`: drops triggers and indexes of other programs on the feed's tables. */
  | { do: 'repair'; manifest: SnapshotManifest; strict: boolean }
  | { do: 'began'; run: RunState }
  | { do: 'attempt-failed'; run: RunState; failure: Failure }
  | { do: 'ended'; run: RunState; outcome: Run['outcome']; fault: Fault | null };

/** The clock, a random number and new ids for one step. They are passed in so that the step is a pure function. */
export interface Context {
  /** The current time, ms since 1970. */
  now: number;
  /** A clock that is never set, ms since an arbitrary time. */
  uptimeMs: number;
  /** Uniform in [0, 1). */
  random(): number;
  newId(): string;
}

export interface Step {
  state: State;
  effects: Effect[];
}

export type Handler<S extends StateName, E extends EventName> = (
  state: StateOf<S>,
  event: EventOf<E>,
  context: Context,
) => Step;

/** The handlers of one state, one for each event. A table without a handler for some event does not compile. */
export type Handlers<S extends StateName> = { [E in EventName]: Handler<S, E> };

export const step = (state: State, ...effects: Effect[]): Step => ({ state, effects });

/** A handler that keeps the state. */
export const ignore = (state: State): Step => step(state);

/** Puts effects before those of a step. */
export function precede(effects: Effect[], following: Step): Step {
  return step(following.state, ...effects, ...following.effects);
}
