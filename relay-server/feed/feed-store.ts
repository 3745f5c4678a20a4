import type { SessionRequest } from '@tidemark/protocol/api';
import type { PageStart, Seq } from '@tidemark/protocol/cursor';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { FeedWriter } from '../ingest/feed-writer.ts';
import type { Ingested, SessionState } from '../ingest/writer-calls.ts';
import type { FeedRow } from '../log/log-format.ts';
import type { LogStore } from '../log/log-source.ts';
import type { Retention } from '../log/retention.ts';

/**
 * The committed state of a feed: its epoch, head and horizon, as the writer last reported them. The only way to the writer.
 * Requests are checked against this row in memory; they never wait for the writer.
 */
export class FeedStore implements LogStore {
  readonly #writer: FeedWriter;
  readonly #onBatch: (ingested: Ingested, moved: boolean) => void;
  #row: FeedRow;

  /** `row`: as the store was opened. `onBatch` is called after each batch; `moved`: the head is another one than before. */
  constructor(writer: FeedWriter, row: FeedRow, onBatch: (ingested: Ingested, moved: boolean) => void) {
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

  async append(batch: Uint8Array<ArrayBuffer>): Promise<Ingested> {
    const ingested = await this.#writer.batch(batch);
    const moved = ingested.feed.head !== this.#row.head;
    this.#row = ingested.feed;
    this.#onBatch(ingested, moved);
    return ingested;
  }

  /** One step of retention. Returns whether there is more to drop. */
  async dropOldest(keep: Retention, nowMs: number): Promise<boolean> {
    const { horizon, more } = await this.#writer.dropOldest(keep, nowMs);
    if (horizon > this.#row.horizon) this.#row = { ...this.#row, horizon };
    return more;
  }

  close(): Promise<void> {
    return this.#writer.close();
  }

  /** Throws epoch_changed. */
  requireEpoch(epoch: string): void {
    if (epoch !== this.#row.epoch) throw new TidemarkError('epoch_changed');
  }

  /** Throws epoch_changed, behind_horizon, cursor_ahead, or target_invalid when the log does not hold this range. */
  requireRange(epoch: string, start: PageStart, target: Seq): void {
    const { head, horizon } = this.#row;
    this.requireEpoch(epoch);
    if (start.seq < horizon) throw new TidemarkError('behind_horizon');
    if (start.seq > head) throw new TidemarkError('cursor_ahead');
    if (target > head || target < start.seq) throw new TidemarkError('target_invalid', { target });
  }
}
