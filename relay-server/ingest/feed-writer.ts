import type { SessionRequest } from '@tidemark/protocol/api';
import type { Retention } from '../log/retention.ts';
import type { Filters } from '../routing/filters.ts';
import { WorkerThread } from '../threads/worker-thread.ts';
import { type Dropped, type Ingested, type SessionState, WRITER_CALLS } from './writer-calls.ts';

/**
 * Calls a feed's writer thread. The thread runs calls in order of arrival. If it dies, its pending calls are rejected,
 * SQLite rolls back uncommitted changes, and the next call starts a new thread.
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

  /** Opens or creates the store. Throws db_*, disk_full, or config_invalid if a filter does not match its table. */
  async open(): Promise<void> {
    await this.#thread.call('open', {});
  }

  session(source: string, base: SessionRequest['base']): Promise<SessionState> {
    return this.#thread.call('session', { source, base });
  }

  /** Applies a batch. Transfers the bytes to the thread, which empties the caller's buffer. */
  batch(bytes: Uint8Array<ArrayBuffer>): Promise<Ingested> {
    return this.#thread.call('batch', { bytes }, [bytes.buffer]);
  }

  /** Runs one step of retention. `nowMs` is the relay's clock. */
  dropOldest(keep: Retention, nowMs: number): Promise<Dropped> {
    return this.#thread.call('dropOldest', { keep, nowMs });
  }

  /** Closes the store and drops uncommitted changes. */
  async close(): Promise<void> {
    if (!this.#thread.running) return;
    await this.#thread.call('close', {});
    // The thread has been idle since its answer, so terminating it is safe.
    await this.#thread.terminate();
  }
}
