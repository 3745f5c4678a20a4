import type { Filters } from '../../routing/filters.ts';
import { WorkerThread } from '../../threads/worker-thread.ts';
import type { Coding, ReadyPage } from '../compression.ts';
import { type Encoded, PAGE_CALLS, type PageRequest } from './page-calls.ts';

/** A page creates many short-lived objects. With Node's default they take 140 MiB before they are collected. */
const YOUNG_HEAP_MIB = 12;

/**
 * Calls the thread that builds the pages of one feed. The first call starts the thread. If it dies, its pending calls are
 * rejected, and the next call starts a new thread.
 */
export class PageThread {
  readonly #thread: WorkerThread<typeof PAGE_CALLS>;
  /** Total size of all compressed pages, before and after compression, in bytes. */
  #plainBytes = 0;
  #compressedBytes = 0;

  constructor(data: { file: string; feed: string; filters: Filters }) {
    this.#thread = new WorkerThread({
      module: new URL('./page-worker.ts', import.meta.url),
      name: 'the page thread',
      methods: PAGE_CALLS,
      data,
      youngHeapMib: YOUNG_HEAP_MIB,
    });
  }

  /**
   * Compressed size of all pages so far divided by their uncompressed size, 0 to 1. Null if none has been compressed.
   */
  get ratio(): number | null {
    return this.#plainBytes === 0 ? null : this.#compressedBytes / this.#plainBytes;
  }

  /** Reads and compresses a page. Throws epoch_changed, behind_horizon, cursor_ahead, target_invalid, db_*. */
  async page(request: PageRequest): Promise<ReadyPage> {
    return this.#counted(await this.#thread.call('page', request));
  }

  /** Compresses a page. Moves the bytes to the thread, which empties the caller's buffer. */
  async compress(page: Uint8Array<ArrayBuffer>, coding: Coding): Promise<ReadyPage> {
    return this.#counted(await this.#thread.call('compress', { bytes: page, coding }, [page.buffer]));
  }

  async close(): Promise<void> {
    if (!this.#thread.running) return;
    // `end` waits until the thread has ended, whether or not it answers this call.
    this.#thread.call('close', {}).catch(() => undefined);
    await this.#thread.end();
  }

  #counted({ bytes, coding, plainBytes }: Encoded): ReadyPage {
    if (coding !== 'identity') {
      this.#plainBytes += plainBytes;
      this.#compressedBytes += bytes.length;
    }
    return { bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), coding };
  }
}
