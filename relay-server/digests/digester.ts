import { createHash } from 'node:crypto';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { ReadyPage } from '../pages/compression.ts';
import { ReadyPages } from '../pages/ready-pages.ts';
import { FairQueue, type QueueBounds } from '../threads/fair-queue.ts';
import { RetryLater } from '../threads/retry-later.ts';
import { WorkerThread } from '../threads/worker-thread.ts';
import { DIGEST_CALLS, type DigestTask, RUNNING_MAX } from './digest-calls.ts';

/**
 * Reads the snapshots of all feeds for terminals that verify their replica. A thread does the work; it exists only while
 * requests arrive. Equal requests share one computation and one answer, because many terminals request the same digests.
 * A computation ends when nobody waits for it. See B16 to B18 in docs/protocol.md, and
 * docs/decisions/2026-11-23-compare-with-a-snapshot.md.
 */

/** Maximum size of the cached answers, in bytes. */
const CACHE_BYTES = 16 * 1024 * 1024;
/** How long a request waits before it is answered with `relay_busy`. The client asks again for the same answer. */
const PATIENCE_MS = 5_000;
/** The thread ends and closes its files after this time without requests. */
const IDLE_MS = 60_000;
const BOUNDS: QueueBounds = { running: RUNNING_MAX, waiting: 1000, waitingPerKey: 8, bytes: 32 * 1024 * 1024 };

export class Digester {
  readonly queue = new FairQueue<ReadyPage>(BOUNDS);
  readonly #ready = new ReadyPages(CACHE_BYTES);
  readonly #thread = new WorkerThread({
    module: new URL('./digest-worker.ts', import.meta.url),
    name: 'the digest thread',
    methods: DIGEST_CALLS,
  });
  /** Number of requests that wait for a computation, by its name and the key. */
  readonly #requests = new Map<string, number>();
  #lastId = 0;
  #running = 0;
  #idle: ReturnType<typeof setTimeout> | undefined;

  /**
   * Returns the answer to a request, or null when `signal` is aborted. `key` names the holder of the access key. Throws
   * request_invalid, snapshot_gone, and relay_busy if the queue is full or the computation takes long.
   */
  async answer(task: DigestTask, key: string, signal: AbortSignal): Promise<ReadyPage | null> {
    const digest = createHash('sha256').update(task.body).digest('hex');
    const name = `${task.kind} ${task.file} ${task.coding} ${digest}`;
    const ready = this.#ready.get(name);
    if (ready) return ready;
    if (signal.aborted) return null;
    const outcome = this.queue.ask(name, key, (gone) => this.#compute(name, task, gone), task.body.length);
    if (!outcome) throw new RetryLater('relay_busy', this.queue.retryAfterS(name, key));
    return this.#wait(outcome, name, key, signal);
  }

  async close(): Promise<void> {
    clearTimeout(this.#idle);
    this.queue.drop();
    await this.#endThread();
  }

  async #wait(outcome: Promise<ReadyPage>, name: string, key: string, signal: AbortSignal): Promise<ReadyPage | null> {
    const late = Promise.withResolvers<never>();
    const gone = Promise.withResolvers<null>();
    const timer = setTimeout(
      () => late.reject(new RetryLater('relay_busy', this.queue.retryAfterS(name, key))),
      PATIENCE_MS,
    );
    const request = `${name} ${key}`;
    this.#requests.set(request, (this.#requests.get(request) ?? 0) + 1);
    const onAbort = () => {
      gone.resolve(null);
      // Another request of the key may wait for the same answer.
      if (this.#requests.get(request) === 1) this.queue.leave(name, key);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await Promise.race([outcome, late.promise, gone.promise]);
    } catch (error) {
      // The computation was ending when this request joined it, because the others had left.
      if (error instanceof TidemarkError && error.code === 'cancelled') throw new RetryLater('relay_busy', 1);
      throw error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      const others = (this.#requests.get(request) ?? 1) - 1;
      if (others > 0) this.#requests.set(request, others);
      else this.#requests.delete(request);
    }
  }

  async #compute(name: string, task: DigestTask, gone: AbortSignal): Promise<ReadyPage> {
    clearTimeout(this.#idle);
    this.#running++;
    const id = ++this.#lastId;
    const cancel = () => {
      if (this.#thread.running) this.#thread.call('cancel', { id }).catch(() => undefined);
    };
    gone.addEventListener('abort', cancel, { once: true });
    try {
      const { bytes, coding } = await this.#thread.call('answer', { ...task, id });
      const ready = { bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), coding };
      this.#ready.set(name, ready);
      return ready;
    } catch (error) {
      // After its time limit, the call still runs.
      cancel();
      throw error;
    } finally {
      gone.removeEventListener('abort', cancel);
      this.#running--;
      if (this.#running === 0) this.#idle = setTimeout(() => void this.#endThread(), IDLE_MS).unref();
    }
  }

  async #endThread(): Promise<void> {
    if (!this.#thread.running) return;
    // `end` waits until the thread has ended, whether or not it answers this call.
    this.#thread.call('close', {}).catch(() => undefined);
    await this.#thread.end();
  }
}
