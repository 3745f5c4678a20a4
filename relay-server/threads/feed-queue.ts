import type { FairQueue } from './fair-queue.ts';

/** The part of a relay's queue that belongs to one feed. Jobs and keys of different feeds never share a name. */
export class FeedQueue {
  readonly #queue: FairQueue;
  readonly #prefix: string;
  #closed = false;

  constructor(queue: FairQueue, feed: string) {
    this.#queue = queue;
    this.#prefix = `${feed}/`;
  }

  /** Adds a job, or renews the request for it. `work` must handle its own errors. Returns false if the queue is full. */
  ask(name: string, key: string, work: () => Promise<void>): boolean {
    if (this.#closed) return true;
    return this.#queue.ask(this.#prefix + name, this.#prefix + key, work) !== null;
  }

  /** See {@link FairQueue.retryAfterS}. */
  retryAfterS(name: string, key: string): number {
    return this.#queue.retryAfterS(this.#prefix + name, this.#prefix + key);
  }

  /** Drops the feed's waiting jobs. The caller ends the running one. */
  close(): void {
    this.#closed = true;
    this.#queue.drop(this.#prefix);
  }
}
