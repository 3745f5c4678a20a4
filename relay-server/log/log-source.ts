import type { BatchAnswer, SessionAnswer, SessionRequest } from '@tidemark/protocol/api';
import type { Moment } from '../freshness/moment.ts';
import type { Ingested, SessionState } from '../ingest/writer-calls.ts';

/**
 * The interface of log sources, through which a feed's increments reach this relay's store. Each kind of source is a
 * folder next to this file that implements {@link LogSource}. Mirror, pages, snapshots and long polls depend only on
 * the store and work the same for every kind.
 *
 * `direct/` is the only kind today: the feed pushes batches to this relay over HTTP. Future kinds would fetch:
 * `postgres` from a log that several relays share, `upstream` from another relay.
 *
 * An implementation guarantees:
 *
 * 1. **Order and completeness.** Batches are appended one at a time in log order: the source calls `append` only after
 *    the previous call has settled. It may append transactions again, because the store ignores those up to its
 *    position. It must never skip one, because the store cannot detect a gap.
 * 2. **Begin first.** The source calls `begin` before the first `append`, and again after a failed `append`, because
 *    the store has then rolled back all uncommitted changes. It continues from the position that `begin` returns, or
 *    takes a base if that is null.
 * 3. **Durable before acknowledged.** The source confirms a position to the feed or to its upstream log only after an
 *    `append` has resolved with that position, which is then on disk.
 * 4. **One writer of the numbering.** The store assigns seqs. A source that follows a log with seqs must append the
 *    same transactions in the same order, and must stop when another relay has taken over.
 * 5. **Independence from terminals.** A source must not use scopes, entitlements or requests.
 * 6. **Close.** `close` stops deliveries and resolves when no `append` is running. The store outlives the source.
 */
export interface LogSource {
  /** The endpoint to which a feed pushes, or null for a source that fetches. */
  readonly push: PushEndpoint | null;
  close(): Promise<void>;
}

/** A feed's store, as seen by its source. */
export interface LogStore {
  /**
   * Drops uncommitted changes and prepares for deliveries. `source` identifies the master; a change of the master
   * resets the position. `base` is set if a base follows. Throws db_*, disk_full.
   */
  begin(source: string, base: SessionRequest['base']): Promise<SessionState>;
  /**
   * Applies one batch. Resolves when all transactions that end in it are on disk. Transfers the bytes, which empties
   * the caller's buffer. `sampledAt` is a moment no later than the one at which the feed read the end of the master's
   * log for the newest current heartbeat of the batch, if it has one. Throws batch_corrupt, batch_invalid,
   * filter_invalid, db_*, disk_full.
   */
  append(batch: Uint8Array<ArrayBuffer>, sampledAt: Moment): Promise<Ingested>;
}

/** The HTTP endpoint of a source to which feeds push. */
export interface PushEndpoint {
  /** Begins a session, which supersedes the previous one. */
  session(request: SessionRequest): Promise<SessionAnswer>;
  /**
   * Applies the batch with this number, counted from 1. Repeating the last number returns the same answer. Throws
   * session_unknown, session_superseded, batch_out_of_order, and the errors of {@link LogStore.append}.
   */
  batch(session: string, number: number, bytes: Uint8Array<ArrayBuffer>, times: BatchTimes): Promise<BatchAnswer>;
}

/** When a batch was sent. */
export interface BatchTimes {
  /** When the first bytes of the request arrived. */
  arrivedAt: Moment;
  /** The header {@link HEADERS.sampled}; null if the feed did not send it. */
  sampledMs: number | null;
}
