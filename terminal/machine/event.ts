import type { RelayStatus, SnapshotManifest } from '@tidemark/protocol/api';
import type { Cursor } from '@tidemark/protocol/cursor';
import type { Fault } from '@tidemark/protocol/fault';
import type { Difference } from '@tidemark/protocol/run';
import type { RunRequest } from './run-state.ts';
import type { ArrivedPage, Policy, Start } from './state.ts';

/** Events of the sync machine: calls of the agent, and results of the work that the machine ordered. */

/** Kinds of work, each of which can fail. */
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

export interface Failure {
  fault: Fault;
  /** How long the relay asked to wait, ms. */
  retryAfterMs: number | null;
  /** Something was gained before the failure, so the waits between attempts start small again. */
  progressed: boolean;
}

/**
 * The result of a comparison. `equal`: there is nothing to write. `repair`: rows differ, or only the replica's position and
 * scopes do. `copy`: a snapshot costs less than the rows that differ, and the comparison ended early.
 */
export type Verdict = 'equal' | 'repair' | 'copy';

interface Events {
  start: RunRequest;
  cancel: object;
  pause: { until: number | null; by: string };
  resume: object;
  /** A time that the machine waits for may have come. */
  tick: object;
  /** The operating system's word on the network; null: it has none. */
  online: { online: boolean | null };
  /** The PC woke from sleep. Requests from before are void. */
  woke: object;
  /**
   * New settings, compared with those before. `feed`: `none` when no feed is named, so that there is no replica to open.
   * `connection`: relay, feed and key; `none` when one of them is missing.
   */
  settings: { feed: 'none' | 'same' | 'changed'; connection: 'none' | 'same' | 'changed'; policy: Policy };
  stop: object;
  /** `lastRunAt`: when the last run ended of the kind that the schedule starts. */
  opened: { cursor: Cursor | null; start: Start; lastRunAt: number | null };
  /** `altered`: another program changed the structure of tables of the feed. */
  probed: { status: RelayStatus; altered: boolean };
  polled: { status: RelayStatus };
  fetched: { page: ArrivedPage };
  /** A page was written, or kept parts were dropped. */
  applied: { cursor: Cursor; start: Start };
  manifest: { manifest: SnapshotManifest };
  downloaded: object;
  installed: { cursor: Cursor; start: Start };
  compared: { differences: Difference[]; verdict: Verdict };
  repaired: { cursor: Cursor; start: Start };
  failed: Failure & { work: Work };
  /** All work that was aborted has ended. */
  aborted: object;
}

export type EventName = keyof Events;
export type EventOf<E extends EventName> = Events[E] & { type: E };
export type Event = { [E in EventName]: EventOf<E> }[EventName];
