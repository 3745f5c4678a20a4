import type { SnapshotManifest } from '@tidemark/protocol/api';
import type { Cursor, Epoch, PageStart, Seq } from '@tidemark/protocol/cursor';
import type { Fault } from '@tidemark/protocol/fault';
import type { ScopeSet } from '@tidemark/protocol/page';
import type { VerifiedPage } from '@tidemark/replica/page-reader';
import type { EventOf, Failure } from './event.ts';
import type { PreparingRun, RunRequest, RunState } from './run-state.ts';

/** The states of the sync machine. All times are ms since 1970. */

/**
 * Where the next page starts. `compactedTo`: the replica keeps parts of a compacted transaction that ends at this seq, so
 * only compacted pages to there can follow.
 */
export interface Start extends PageStart {
  compactedTo?: Seq;
}

/** Where an empty replica starts. */
export const NOWHERE = { seq: 0, part: 0 } as Start;

/** Rules for everything that the machine does on its own. */
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
  /** Null: until resumed. */
  until: number | null;
  by: string;
  /** The run that the pause ended, which continues after it. */
  interrupted: RunRequest | null;
}

/** Fields of every state. */
export interface Shared {
  /** Relay, feed and key are set. */
  configured: boolean;
  policy: Policy;
  cursor: Cursor | null;
  start: Start;
  paused: Pause | null;
  /** When the next automatic run is due; null: never. */
  nextAt: number | null;
  /** Polls in a row that failed, or were answered at once with nothing new. The waits between polls grow with them. */
  fruitlessPolls: number;
}

/** The pages of one pull. `compacted`: one transaction that holds each row once. */
export interface PullPlan {
  epoch: Epoch;
  scopes: ScopeSet;
  target: Seq;
  kind: 'ordinary' | 'compacted';
}

/** A page that has arrived. Its contents are the business of the runner. */
export interface ArrivedPage {
  start: PageStart;
  /** Where the page after it starts, as its trailer says. */
  next: PageStart;
  content: VerifiedPage;
}

/**
 * The page after the one that is being applied, or, while none is applied, the page that the run waits for. At most one
 * page is fetched ahead.
 */
export type NextPage =
  /** Not requested: the page being applied is the last one, or kept parts are being dropped. */
  | { is: 'none' }
  /** `buildingSince`: the relay has been building compacted pages since then. */
  | { is: 'requested'; start: PageStart; buildingSince: number | null }
  /** The relay builds compacted pages. The request is repeated at `askAt`. */
  | { is: 'building'; since: number; askAt: number }
  /** Waits until the page before it is applied. */
  | { is: 'arrived'; page: ArrivedPage }
  /** The failure counts once the page before it is applied. */
  | { is: 'failed'; failure: EventOf<'failed'> };

/** The state, or the run, that follows a run which is being cancelled. */
export type AfterCancel = 'rest' | 'reopen' | 'close' | 'stop' | RunRequest;

interface States {
  /** There is no replica to open, because relay, feed or key is missing. */
  unconfigured: object;
  /** The replica is not open. `fault`: why it could not be opened; null before the first try. */
  closed: { fault: Fault | null; attempt: number; retryAt: number | null };
  opening: { attempt: number; after: RunRequest | 'start-up' | null };
  idle: object;
  /** A long poll is in flight since `since`; or, with `pollAt`, the next one starts then. */
  watching: { since: number; pollAt: number | null };
  checking: { run: RunState };
  /** The manifest is requested; or, with `askAt`, the relay prepares the snapshot and is asked again then. */
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
    /** The snapshot with which the replica is compared after this pull; null: no comparison follows. */
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
/** A state in which a run is under way. */
export type RunningState = Extract<State, { run: RunState }>;

/** The shared part of a state alone. */
export function shared({ configured, policy, cursor, start, paused, nextAt, fruitlessPolls }: Shared): Shared {
  return { configured, policy, cursor, start, paused, nextAt, fruitlessPolls };
}
