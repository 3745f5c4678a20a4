import type { RelayStatus, SnapshotManifest } from '@tidemark/protocol/api';
import type { Cursor, Epoch, PageStart, Seq } from '@tidemark/protocol/cursor';
import type { Fault } from '@tidemark/protocol/fault';
import type { ScopeSet } from '@tidemark/protocol/page';
import type { Difference, Mode, Run, Trigger } from '@tidemark/protocol/run';

/** Times here are ms since 1970. */

/** Where the next page starts. `squashed`: what is kept aside for it is of squashed pages, up to this seq. */
export interface Start extends PageStart {
  squashed?: Seq;
}

/** A run that is asked for. */
export interface Begin {
  mode: Mode;
  trigger: Trigger;
  /** With `up-to`. */
  wanted: Seq | null;
}

/** A run under way. */
export interface RunState extends Begin {
  id: string;
  startedAt: number;
  from: Cursor | null;
  /** Where it ends; fixed by its first plan. */
  target: Cursor | null;
  snapshot: Run['snapshot'];
  /** The snapshot is in place; what follows are pages. */
  copied: boolean;
  /** Attempts that failed, in all and since the last progress. */
  retries: number;
  attempt: number;
  failingSince: number | null;
  /**
   * It waits to be compared with a snapshot, and why. `asked`: at the snapshot's position. Otherwise as it is, and what
   * differs brings it to that position: `difference`: its set of scopes changed; `altered`: another program changed it.
   */
  compare: 'asked' | 'difference' | 'altered' | null;
  /** It was compared; a run repairs once. */
  compared: boolean;
  /** A page did not fit, and is fetched anew, past caches; once. */
  doubted: boolean;
  /** Squashed pages were not to be had, or of no use: it goes on by ordinary ones. */
  plain: boolean;
  /** It asked anew because the relay's history changed under it; it does so once. */
  replanned: boolean;
}

/** How the agent decides by itself. */
export interface Policy {
  checkAtStart: boolean;
  everyMs: number | null;
  automatic: 'sync' | 'check';
  watch: boolean;
  freshCopy: 'take' | 'ask';
  giveUpAfterMs: number | null;
  /** Whether what a comparison that was asked for finds is repaired. */
  repair: boolean;
}

export interface Pause {
  since: number;
  until: number | null;
  by: string;
  /** The run that the pause ended: it goes on when the pause ends. */
  interrupted: Begin | null;
}

interface Common {
  configured: boolean;
  policy: Policy;
  cursor: Cursor | null;
  start: Start;
  paused: Pause | null;
  /** When the next automatic run is due; null: never. */
  nextAt: number | null;
}

/** Pages of one pull. */
export interface PullPlan {
  epoch: Epoch;
  scopes: ScopeSet;
  target: Seq;
  /** By one transaction that holds each row once. */
  squashed: boolean;
}

/** A page that has arrived; its bytes are the runner's business. */
export interface PageInHand {
  bytes: Buffer;
  start: PageStart;
  /** Where the page after it starts, as its trailer says; null when it has no readable trailer. */
  next: PageStart | null;
}

export interface Failure {
  fault: Fault;
  /** The relay asked to wait this long, ms. */
  retryAfterMs: number | null;
  /** Something was gained before it failed: the waits begin anew. */
  progressed: boolean;
}

/** What comes after a run that is being stopped. */
export type After = 'settle' | 'reopen' | 'close' | 'stop' | Begin;

interface Own {
  /** Not set up: no relay, feed or key. */
  unconfigured: object;
  /** The replica is not open. */
  closed: { fault: Fault | null; attempt: number; retryAt: number | null };
  opening: { attempt: number; after: Begin | 'start-up' | null };
  idle: object;
  /** A long poll is in flight; or, with `pollAt`, waits to be. */
  watching: { since: number; pollAt: number | null };
  checking: { run: RunState };
  /** The manifest is asked for; or, with `askAt`, the relay prepares the copy. */
  'waiting-for-snapshot': { run: RunState; since: number; askAt: number | null };
  'downloading-snapshot': { run: RunState; manifest: SnapshotManifest };
  'installing-snapshot': { run: RunState; manifest: SnapshotManifest };
  /** At most one page is applied while at most one is fetched or in hand. */
  pulling: {
    run: RunState;
    plan: PullPlan;
    fetching: PageStart | null;
    ready: PageInHand | null;
    applying: PageInHand | null;
    /** The page after the one that is applied could not be fetched. */
    fetchFailure: EventOf<'failed'> | null;
    /** The relay builds the squashed pages, since then; it is asked again at `askAt`. */
    building: { since: number; askAt: number | null } | null;
    /** What it is compared with when it is there. */
    against: SnapshotManifest | null;
  };
  comparing: { run: RunState; manifest: SnapshotManifest };
  repairing: { run: RunState; manifest: SnapshotManifest };
  'waiting-to-retry': { run: RunState; failure: Failure; retryAt: number };
  cancelling: { run: RunState; since: number; after: After };
  stopped: object;
}

export type StateName = keyof Own;
export type StateOf<S extends StateName> = Common & Own[S] & { at: S };
export type State = { [S in StateName]: StateOf<S> }[StateName];
export type Shared = Common;

/** What the work of the agent can be. */
export type Work =
  | 'open'
  | 'probe'
  | 'poll'
  | 'fetch'
  | 'discard'
  | 'apply'
  | 'manifest'
  | 'download'
  | 'install'
  | 'compare'
  | 'repair';

interface Events {
  start: Begin;
  cancel: object;
  pause: { until: number | null; by: string };
  resume: object;
  /** Something may be due. */
  tick: object;
  online: { online: boolean | null };
  woke: object;
  /** `reopen`: another feed. `reconnect`: another relay or key. `feedNamed`: there is a replica to open. */
  settings: { configured: boolean; feedNamed: boolean; reopen: boolean; reconnect: boolean; policy: Policy };
  stop: object;
  /** `lastRunAt`: when the last run ended of the kind that the schedule starts. */
  opened: { cursor: Cursor | null; start: Start; lastRunAt: number | null };
  /** `altered`: another program made other tables of the feed's. */
  probed: { status: RelayStatus; altered: boolean };
  polled: { status: RelayStatus };
  fetched: { page: PageInHand };
  applied: { cursor: Cursor; start: Start };
  manifest: { manifest: SnapshotManifest };
  downloaded: object;
  installed: { cursor: Cursor; start: Start };
  /** `needed`: the replica is not what it is to be. `copy`: to fetch what differs costs more than a copy, and was not done. */
  compared: { differences: Difference[]; needed: boolean; copy: boolean };
  repaired: { cursor: Cursor; start: Start };
  failed: Failure & { work: Work };
  /** All work that was aborted has ended. */
  aborted: object;
}

export type EventName = keyof Events;
export type EventOf<E extends EventName> = Events[E] & { type: E };
export type Event = { [E in EventName]: EventOf<E> }[EventName];

export type Effect =
  | { do: 'open'; setAside: boolean }
  | { do: 'close' }
  /** Ends all work in flight; its results are dropped, then `aborted` is told. */
  | { do: 'abort' }
  | { do: 'probe' }
  | { do: 'poll' }
  | { do: 'fetch'; plan: PullPlan; start: PageStart; fresh: boolean }
  /** Forgets what is kept aside of squashed pages; `applied` tells where it then stands. */
  | { do: 'discard' }
  | { do: 'apply'; page: PageInHand; squashed: boolean }
  | { do: 'manifest' }
  | { do: 'download'; manifest: SnapshotManifest }
  | { do: 'install'; manifest: SnapshotManifest }
  /** `mayCopy`: it may end early, where a copy is cheaper. */
  | { do: 'compare'; manifest: SnapshotManifest; mayCopy: boolean }
  /** `strict`: what other programs made on the tables goes. */
  | { do: 'repair'; manifest: SnapshotManifest; strict: boolean }
  | { do: 'began'; run: RunState }
  | { do: 'attempt-failed'; run: RunState; failure: Failure }
  | { do: 'ended'; run: RunState; outcome: Run['outcome']; fault: Fault | null };

export interface Context {
  now: number;
  /** Uniform in [0, 1). */
  random(): number;
  newId(): string;
}

export interface Step {
  state: State;
  effects: Effect[];
}
