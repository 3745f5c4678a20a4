import type { RelayStatus, SnapshotManifest } from '@tidemark/protocol/api';
import type { Cursor } from '@tidemark/protocol/cursor';
import type { Fault } from '@tidemark/protocol/fault';
import type { Difference } from '@tidemark/protocol/run';
import type { RunRequest } from './run-state.ts';
import type { ArrivedPage, Policy, Start } from './state.ts';

/** Events of the sync machine: calls of the agent, and results of the work that the machine requested. */

/** Kinds of work, each of which can fail. */
export type Work =
  | 'open'
  /** The agent's notes in the replica: history, status row, size of the log. */
  | 'record'
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
  /** How long the relay asked the terminal to wait, ms. */
  retryAfterMs: number | null;
  /** Whether the work made progress before it failed. If so, the waits between attempts start small again. */
  progressed: boolean;
}

/**
 * The result of a comparison. `equal`: there is nothing to write. `repair`: rows differ, or only the position and
 * scopes do. `copy`: the comparison ended early, because a snapshot costs less than fetching the rows that differ.
 */
export type Verdict = 'equal' | 'repair' | 'copy';

interface Events {
  start: RunRequest;
  cancel: object;
  pause: { until: number | null; by: string };
  resume: object;
  /** Time has passed. The machine checks whether a time that it waits for has come. */
  tick: object;
  /** The PC has a network again. The agent sends this event, and `woke`, at most once every two minutes each (W1). */
  online: object;
  /** The PC woke from sleep, so earlier requests are dead. */
  woke: object;
  /**
   * New settings, compared with the previous ones. `feed`: `none` when no feed is named, so that there is no replica to
   * open. `connection`: relay, feed and key; `none` when one of them is missing.
   */
  settings: { feed: 'none' | 'same' | 'changed'; connection: 'none' | 'same' | 'changed'; policy: Policy };
  stop: object;
  /** `lastRunAt`: the end of the last run of the kind that the schedule starts. */
  opened: { cursor: Cursor | null; start: Start; lastRunAt: number | null };
  /** `altered`: another program changed the structure of the feed's tables. */
  probed: { status: RelayStatus; altered: boolean };
  /** `heldMs`: how long the answer took, by a clock that is never set. */
  polled: { status: RelayStatus; heldMs: number };
  fetched: { page: ArrivedPage };
  /** The replica has written a page, or dropped kept parts. */
  applied: { cursor: Cursor; start: Start };
  manifest: { manifest: SnapshotManifest };
  downloaded: object;
  installed: { cursor: Cursor; start: Start };
  compared: { differences: Difference[]; verdict: Verdict };
  repaired: { cursor: Cursor; start: Start };
  failed: Failure & { work: Work };
  /** All aborted work has ended. */
  aborted: object;
}

export type EventName = keyof Events;
export type EventOf<E extends EventName> = Events[E] & { type: E };
export type Event = { [E in EventName]: EventOf<E> }[EventName];
