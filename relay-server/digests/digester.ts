import { createHash } from 'node:crypto';
import type { DigestRequest, RowsRequest } from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import { type Coding, PageCache, type ReadyPage } from '../pages/page-cache.ts';
import { WorkerThread } from '../threads/worker-thread.ts';
import { DIGEST_CALLS } from './digest-calls.ts';

/**
 * Reads the snapshots of one feed for terminals that verify their replica. A thread does the work; it exists only while
 * requests arrive. Equal requests share one answer, because many terminals request the same digests. See
 * docs/decisions/2026-11-23-compare-with-a-snapshot.md.
 */

/** Maximum size of the cached answers, in bytes. */
const CACHE_BYTES = 16 * 1024 * 1024;
/**
 * How long a request waits before it is answered with `relay_busy`. The work continues, so that a later request finds
 * the answer.
 */
const PATIENCE_MS = 5_000;
/** The thread ends and closes its files after this time without requests. */
const IDLE_MS = 60_000;

export class Digester {
  readonly #cache = new PageCache(CACHE_BYTES);
  readonly #thread = new WorkerThread({
    module: new URL('./digest-worker.ts', import.meta.url),
    name: 'the digest thread',
    methods: DIGEST_CALLS,
  });
  #running = 0;
  #idle: ReturnType<typeof setTimeout> | undefined;

  /**
   * Returns the body of a DigestAnswer. Throws request_invalid, snapshot_gone, and relay_busy during a long
   * computation.
   */
  digests(file: string, { asks }: DigestRequest, coding: Coding): Promise<ReadyPage> {
    return this.#answer('digests', { file, asks }, coding);
  }

  /** Returns the body of the answer to a request for rows. Throws request_invalid, snapshot_gone, relay_busy. */
  rows(file: string, { asks }: RowsRequest, coding: Coding): Promise<ReadyPage> {
    return this.#answer('rows', { file, asks }, coding);
  }

  async close(): Promise<void> {
    clearTimeout(this.#idle);
    if (!this.#thread.running) return;
    // `end` waits until the thread has ended, whether or not it answers this call.
    this.#thread.call('close', {}).catch(() => undefined);
    await this.#thread.end();
  }

  #answer<N extends 'digests' | 'rows'>(
    method: N,
    input: { file: string; asks: N extends 'digests' ? DigestRequest['asks'] : RowsRequest['asks'] },
    coding: Coding,
  ): Promise<ReadyPage> {
    const name = `${method} ${input.file} ${createHash('sha256').update(JSON.stringify(input.asks)).digest('hex')}`;
    return answerOrBusy(this.#cache.get(name, coding, () => this.#call(method, input as never)));
  }

  async #call(method: 'digests' | 'rows', input: { file: string; asks: DigestRequest['asks'] }): Promise<Buffer> {
    clearTimeout(this.#idle);
    this.#running++;
    try {
      const { bytes } = await this.#thread.call(method, input);
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    } finally {
      this.#running--;
      if (this.#running === 0) this.#idle = setTimeout(() => void this.close(), IDLE_MS).unref();
    }
  }
}

async function answerOrBusy(answer: Promise<ReadyPage>): Promise<ReadyPage> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TidemarkError('relay_busy')), PATIENCE_MS);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
