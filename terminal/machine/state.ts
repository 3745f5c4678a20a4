import type { SnapshotManifest } from '@tidemark/protocol/api';
import type { Cursor, Epoch, PageStart, Seq } from '@tidemark/protocol/cursor';
import type { Fault } from '@tidemark/protocol/fault';
import type { ScopeSet } from '@tidemark/protocol/page';
import type { VerifiedPage } from '@tidemark/replica/page-reader';
import type { EventOf, Failure } from './event.ts';
import type { PreparingRun, RunRequest, RunState } from './run-state.ts';

/** The states of the sync machine. All times are ms since 1970, except uptimes. */

/**
 * Where the next page starts. `compactedTo`: the replica keeps parts of a compacted transaction that ends at this seq,
 * so that only compacted pages up to this seq can follow.
 */
export interface Start extends PageStart {
  compactedTo?: Seq;
}

/** Where an empty replica starts. */
export const NOWHERE = { seq: 0, part: 0 } as Start;

/** Rules for the runs that the machine starts and repeats without a request. */
export interface Policy {
  checkAtStart: boolean;
  everyMs: number | null;
  automatic: 'sync' | 'check';
  watch: boolean;
  freshCopy: 'take' | 'ask';
  giveUpAfterMs: number | null;
  /** Whether a requested comparison repairs differences. */
  repair: boolean;
}

export interface Pause {
  since: number;
  /** End of the pause. Null: it lasts until a person resumes. */
  until: number | null;
  by: string;
  /** The run that the pause interrupted. It continues after the pause. */
  interrupted: RunRequest | null;
}

/** Fields that every state has. */
export interface Shared {
  /** Whether relay, feed and key are set. */
  configured: boolean;
  policy: Policy;
  cursor: Cursor | null;
  start: Start;
  paused: Pause | null;
  /** When the next automatic run is due; null: never. */
  nextAt: number | null;
  /**
   * Number of consecutive polls that failed, returned too early without changes, or led to a run that failed or replaced
   * the data. The waits between polls grow with it. A poll that the relay held halves it, because a held poll alone is no
   * progress.
   */
  fruitlessPolls: number;
  /**
   * Number of runs, started by polls, that replaced or repaired the data, each within an hour of the one before, and when
   * the last one ended. Neither a held poll nor a page resets it: relays of different epochs behind one address answer
   * with both.
   */
  replacements: { count: number; endedUptimeMs: number } | null;
}

/** The pages of one pull. `compacted`: they form one transaction that contains each row once. */
export interface PullPlan {
  epoch: Epoch;
  scopes: ScopeSet;
  target: Seq;
  kind: 'ordinary' | 'compacted';
}

/** A page that has arrived. Only the agent reads its contents. */
export interface ArrivedPage {
  start: PageStart;
  /** The start of the next page, from this page's trailer. */
  next: PageStart;
  content: VerifiedPage;
}

/**
 * The page after the one that is being applied. While none is being applied, the page that the run waits for. At most
 * one page is fetched ahead.
 */
export type NextPage =
  /** No page is requested: the page being applied is the last one, or the replica is dropping kept parts. */
  | { is: 'none' }
  /** The page is requested. `buildingSince`: when the relay began to build compacted pages. */
  | { is: 'requested'; start: PageStart; buildingSince: number | null }
  /** The relay is building compacted pages. The machine repeats the request at `askAt`. */
  | { is: 'building'; since: number; askAt: number }
  /** The page waits until the one before it is applied. */
  | { is: 'arrived'; page: ArrivedPage }
  /** The failure takes effect once the page before it is applied. */
  | { is: 'failed'; failure: EventOf<'failed'> };

/** The state, or the run, that follows a cancelled run. */
export type AfterCancel = 'rest' | 'reopen' | 'close' | 'stop' | RunRequest;

interface States {
  /** There is no replica to open, because relay, feed or key is missing. */
  unconfigured: object;
  /** The replica is not open. `fault`: why it could not be opened. Null before the first attempt. */
  closed: { fault: Fault | null; attempt: number; retryAt: number | null };
  /** `checked`: a damaged file is renamed before the replica is opened. */
  opening: { attempt: number; after: RunRequest | 'start-up' | null; checked: boolean };
  idle: object;
  /** A long poll is in flight. With `pollAt`, the next one starts at that time. */
  watching: { pollAt: number | null };
  checking: { run: RunState };
  /**
   * The manifest is requested. With `askAt`, the relay is preparing the snapshot, and the machine asks again at that
   * time.
   */
  'waiting-for-snapshot': {
    run: PreparingRun<'snapshot'> | PreparingRun<'comparison'>;
    since: number;
    askAt: number | null;
  };
  'downloading-snapshot': { run: PreparingRun<'snapshot'>; manifest: SnapshotManifest };
  'installing-snapshot': { run: PreparingRun<'snapshot'>; manifest: SnapshotManifest };
  pulling: {
    run: RunState;
    plan: PullPlan;
    applying: ArrivedPage | null;
    next: NextPage;
    /** The snapshot with which the run compares the replica after this pull. Null: no comparison follows. */
    compareWith: SnapshotManifest | null;
  };
  comparing: { run: PreparingRun<'comparison'>; manifest: SnapshotManifest };
  repairing: { run: PreparingRun<'comparison'>; manifest: SnapshotManifest };
  'waiting-to-retry': { run: RunState; failure: Failure; retryAt: number };
  cancelling: { run: RunState; since: number; after: AfterCancel };
  stopped: object;
}

export type StateName = keyof States;
export type StateOf<S extends StateName> = Shared & States[S] & { at: S };
export type State = { [S in StateName]: StateOf<S> }[StateName];
/** A state with a run under way. */
export type RunningState = Extract<State, { run: RunState }>;

/** Returns only the fields that every state has. */
export function shared(state: Shared): Shared {
  const { configured, policy, cursor, start, paused, nextAt, fruitlessPolls, replacements } = state;
  return { configured, policy, cursor, start, paused, nextAt, fruitlessPolls, replacements };
}
