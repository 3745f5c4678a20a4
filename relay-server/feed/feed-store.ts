import type { SessionRequest } from '@tidemark/protocol/api';
import type { PageStart, Seq } from '@tidemark/protocol/cursor';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { Moment } from '../freshness/moment.ts';
import type { FeedWriter } from '../ingest/feed-writer.ts';
import type { Ingested, SessionState } from '../ingest/writer-calls.ts';
import type { FeedRow } from '../log/log-format.ts';
import type { LogStore } from '../log/log-source.ts';
import type { Retention } from '../log/retention.ts';
import { requireRange } from '../pages/page-range.ts';

/**
 * Holds the committed state of a feed (epoch, head, horizon) as the writer last reported it, and is the only caller of
 * the writer. The relay checks requests against this state in memory, so that they never wait for the writer.
 */
export class FeedStore implements LogStore {
  readonly #writer: FeedWriter;
  readonly #onBatch: (ingested: Ingested, moved: boolean, sampledAt: Moment) => void;
  #row: FeedRow;

  /**
   * `row` is the state of the store when it was opened. Calls `onBatch` after each batch; `moved` is true if the head
   * changed. `sampledAt`: see {@link LogStore.append}.
   */
  constructor(
    writer: FeedWriter,
    row: FeedRow,
    onBatch: (ingested: Ingested, moved: boolean, sampledAt: Moment) => void,
  ) {
    this.#writer = writer;
    this.#row = row;
    this.#onBatch = onBatch;
  }

  get row(): FeedRow {
    return this.#row;
  }

  async begin(source: string, base: SessionRequest['base']): Promise<SessionState> {
    const state = await this.#writer.session(source, base);
    this.#row = state.feed;
    return state;
  }

  async append(batch: Uint8Array<ArrayBuffer>, sampledAt: Moment): Promise<Ingested> {
    const ingested = await this.#writer.batch(batch);
    const moved = ingested.feed.head !== this.#row.head;
    this.#row = ingested.feed;
    this.#onBatch(ingested, moved, sampledAt);
    return ingested;
  }

  /** Runs one step of retention. Returns whether there is more to drop. */
  async dropOldest(keep: Retention, nowMs: number): Promise<boolean> {
    const { horizon, more } = await this.#writer.dropOldest(keep, nowMs);
    if (horizon > this.#row.horizon) this.#row = { ...this.#row, horizon };
    return more;
  }

  close(): Promise<void> {
    return this.#writer.close();
  }

  /** Throws epoch_changed if this is not the current epoch. */
  requireEpoch(epoch: string): void {
    if (epoch !== this.#row.epoch) throw new TidemarkError('epoch_changed');
  }

  /** Throws epoch_changed, behind_horizon, cursor_ahead, or target_invalid if the log does not contain this range. */
  requireRange(epoch: string, start: PageStart, target: Seq): void {
    requireRange(this.#row, epoch, start, target);
  }
}
