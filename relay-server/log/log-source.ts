import type { BatchAnswer, SessionAnswer, SessionRequest } from '@tidemark/protocol/api';
import type { Ingested, SessionState } from '../ingest/writer-calls.ts';

/**
 * The Log seam: how a feed's increments reach this relay's store. Each way is a folder beside this file that implements
 * {@link LogSource}; everything behind the store (mirror, pages, snapshots, waiting terminals) works the same for all of them.
 *
 * `direct/` is the only one today: the feed pushes batches to this relay over HTTP. Others fetch: `postgres` would
 * follow a log that several relays share, `upstream` another relay.
 *
 * An implementation guarantees:
 *
 * 1. **Order and completeness.** Batches are appended in log order, each once or again from its beginning, one at a time:
 *    the next `append` is called when the previous one has settled. The store ignores transactions that it already has, by
 *    their position, so that resending is harmless; it cannot notice a gap, so that leaving one out is corruption.
 * 2. **Begin first.** `begin` is called before the first `append`, and again after an `append` that failed, because the
 *    store has rolled back everything uncommitted. The source continues from the position that `begin` returns; null asks
 *    for a base.
 * 3. **Durable before acknowledged.** The source confirms a position upstream (in an answer to the feed, or to the log that
 *    it follows) only after an `append` has resolved with that position: by then it is on disk.
 * 4. **One writer of the numbering.** Seqs are assigned by the store. A source that follows a log which already has seqs
 *    must bring the same transactions in the same order, and must stop when another relay has taken over.
 * 5. **No look at terminals.** A source knows nothing of scopes, entitlements or requests.
 * 6. **close** stops deliveries and resolves when no `append` is running. The store outlives the source.
 */
export interface LogSource {
  /** The endpoint to which a feed pushes; null: this source fetches, and refuses feeds. */
  readonly push: PushEndpoint | null;
  close(): Promise<void>;
}

/** The store of a feed, as a source sees it. */
export interface LogStore {
  /**
   * Drops uncommitted changes and prepares for deliveries. `source`: which master they come from; with another one than
   * before the position is forgotten. `base`: a base follows. Throws db_*, disk_full.
   */
  begin(source: string, base: SessionRequest['base']): Promise<SessionState>;
  /**
   * Applies one batch; resolves when everything that it ends is on disk. The bytes are moved: the caller's buffer is empty
   * afterwards. Throws batch_corrupt, batch_invalid, filter_invalid, db_*, disk_full.
   */
  append(batch: Uint8Array<ArrayBuffer>): Promise<Ingested>;
}

/** The HTTP side of a source that feeds push to. */
export interface PushEndpoint {
  /** Begins a session and ends the one before. */
  session(request: SessionRequest): Promise<SessionAnswer>;
  /**
   * Takes batch `number` of a session, from 1; the same number again is answered as the first time. Throws session_unknown,
   * session_superseded, batch_out_of_order, and what {@link LogStore.append} throws.
   */
  batch(session: string, number: number, bytes: Uint8Array<ArrayBuffer>): Promise<BatchAnswer>;
}
