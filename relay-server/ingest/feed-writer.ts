import type { SessionRequest } from '@tidemark/protocol/api';
import type { Retention } from '../log/retention.ts';
import type { Filters } from '../routing/filters.ts';
import { WorkerThread } from '../threads/worker-thread.ts';
import { type Dropped, type Ingested, type SessionState, WRITER_CALLS } from './writer-calls.ts';

/**
 * The relay's end of a feed's writer thread. The thread runs calls in the order in which they arrive. When it dies, its
 * pending calls are rejected, SQLite rolls back their uncommitted changes, and the next call starts another thread.
 */
export class FeedWriter {
  readonly #thread: WorkerThread<typeof WRITER_CALLS>;

  constructor(file: string, filters: Filters) {
    this.#thread = new WorkerThread({
      module: new URL('./writer-worker.ts', import.meta.url),
      name: 'the writer thread',
      methods: WRITER_CALLS,
      data: { file, filters },
    });
  }

  /** Opens or creates the store. Throws db_*, disk_full, or config_invalid when a filter does not fit its table. */
  async open(): Promise<void> {
    await this.#thread.call('open', {});
  }

  session(source: string, base: SessionRequest['base']): Promise<SessionState> {
    return this.#thread.call('session', { source, base });
  }

  /** Applies a batch. The bytes move to the thread: the caller's buffer is empty afterwards. */
  batch(bytes: Uint8Array<ArrayBuffer>): Promise<Ingested> {
    return this.#thread.call('batch', { bytes }, [bytes.buffer]);
  }

  /** One step of retention. `nowMs`: the relay's clock. */
  dropOldest(keep: Retention, nowMs: number): Promise<Dropped> {
    return this.#thread.call('dropOldest', { keep, nowMs });
  }

  /** Closes the store. Uncommitted changes are dropped. */
  async close(): Promise<void> {
    if (!this.#thread.running) return;
    await this.#thread.call('close', {});
    // Idle since its answer.
    await this.#thread.terminate();
  }
}
