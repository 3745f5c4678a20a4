import { TidemarkError } from '@tidemark/protocol/errors';
import { MeanDuration } from './mean-duration.ts';

/**
 * A bounded queue of jobs that clients request by asking repeatedly until the result is ready.
 *
 * Keys take turns: the next job belongs to the key whose last turn is longest ago, and the jobs of one key run in the
 * order of its requests. No key has two running jobs. Requests for the same job share it. A client is gone when it has
 * left ({@link FairQueue.leave}), or has not asked for {@link GONE_MS}. A waiting job whose clients are all gone is
 * dropped. A running one receives the abort of its signal, and decides whether to end. See B10 to B18 in
 * docs/protocol.md.
 */

export interface QueueBounds {
  /** Upper bound on the number of jobs that run at the same time. */
  running: number;
  /** Upper bound on the number of jobs that wait. */
  waiting: number;
  /** Upper bound on the number of waiting jobs that one key asked for. */
  waitingPerKey: number;
  /** Upper bound on the size of the inputs of all jobs, in bytes. */
  bytes: number;
}

/** The bounds of a queue of builds, which run in a thread of their own. */
export const BUILD_BOUNDS: QueueBounds = {
  running: 1,
  waiting: 1000,
  waitingPerKey: 8,
  bytes: Number.POSITIVE_INFINITY,
};

/** Time without a request after which a client counts as gone, in ms. Clients ask at least every 60 s (W2). */
export const GONE_MS = 90_000;
/** How often the queue looks for clients that are gone, in ms. */
const SWEEP_MS = 10_000;

/** The work of a job. `gone` is aborted when the last client that waits for the result is gone. */
type Work<T> = (gone: AbortSignal) => Promise<T>;

interface Job<T> {
  work: Work<T>;
  bytes: number;
  /** When each key last asked, in ms. */
  askedAtMs: Map<string, number>;
  outcome: PromiseWithResolvers<T>;
  gone: AbortController;
}

interface RunningJob<T> extends Job<T> {
  /** The key whose turn the job took. */
  key: string;
  startedAtMs: number;
}

/** The state of a queue for metrics. */
export interface QueueState {
  waiting: number;
  running: number;
  /** Requests that were refused because the queue was full, since the start. */
  refused: number;
  /** Jobs that were dropped or ended because their clients were gone, since the start. */
  dropped: number;
}

export class FairQueue<T = void> {
  readonly #bounds: QueueBounds;
  readonly #now: () => number;
  /** Waiting jobs by name, in the order of their first requests. */
  readonly #waiting = new Map<string, Job<T>>();
  readonly #running = new Map<string, RunningJob<T>>();
  /** Keys that had a turn, the one with the latest turn last. */
  readonly #served = new Set<string>();
  readonly #duration = new MeanDuration();
  #sweep: ReturnType<typeof setTimeout> | undefined;
  #refused = 0;
  #dropped = 0;

  /** `now` returns a time in ms that never decreases. */
  constructor(bounds: QueueBounds = BUILD_BOUNDS, now: () => number = () => performance.now()) {
    this.#bounds = bounds;
    this.#now = now;
  }

  get state(): QueueState {
    return {
      waiting: this.#waiting.size,
      running: this.#running.size,
      refused: this.#refused,
      dropped: this.#dropped,
    };
  }

  /**
   * Adds a job, or renews the request for one that waits or runs. Returns its outcome, or null if the queue has no room
   * for the job. The outcome of a job that is dropped rejects with `cancelled`. `bytes`: size of the job's input.
   */
  ask(name: string, key: string, work: Work<T>, bytes = 0): Promise<T> | null {
    this.#dropGone();
    const known = this.#running.get(name) ?? this.#waiting.get(name);
    if (!this.#running.has(name) && !known?.askedAtMs.has(key) && !this.#hasRoom(key, known ? null : bytes)) {
      this.#refused++;
      return null;
    }
    const job = known ?? newJob(work, bytes);
    job.askedAtMs.set(key, this.#now());
    if (!known) this.#waiting.set(name, job);
    this.#startNext();
    this.#scheduleSweep();
    return job.outcome.promise;
  }

  /** Withdraws the request of a key for a job. */
  leave(name: string, key: string): void {
    const job = this.#running.get(name) ?? this.#waiting.get(name);
    if (!job?.askedAtMs.delete(key) || job.askedAtMs.size > 0) return;
    this.#abandon(name, job);
  }

  /** Drops the waiting jobs whose names begin with `prefix`. The caller ends the running ones. */
  drop(prefix = ''): void {
    for (const [name, job] of this.#waiting) if (name.startsWith(prefix)) this.#abandon(name, job);
  }

  /** Returns after how many seconds a client should ask again for a job: by the recent duration of jobs and its place. */
  retryAfterS(name: string, key: string): number {
    const running = this.#running.get(name);
    if (running) return this.#duration.retryAfterS(1, this.#now() - running.startedAtMs);
    const keys = new Set<string>();
    let ofKey = 0;
    for (const [other, { askedAtMs }] of this.#waiting) {
      for (const each of askedAtMs.keys()) keys.add(each);
      if (other === name) break;
      if (askedAtMs.has(key)) ofKey++;
    }
    const before = Math.min(this.#waiting.size, (ofKey + 1) * keys.size);
    return this.#duration.retryAfterS((before + this.#running.size) / this.#bounds.running);
  }

  /** `bytes`: size of a new job's input. Null: another key waits for the job. */
  #hasRoom(key: string, bytes: number | null): boolean {
    let ofKey = 0;
    for (const { askedAtMs } of this.#waiting.values()) if (askedAtMs.has(key)) ofKey++;
    if (ofKey >= this.#bounds.waitingPerKey) return false;
    if (bytes === null) return true;
    let held = bytes;
    for (const job of [...this.#waiting.values(), ...this.#running.values()]) held += job.bytes;
    return this.#waiting.size < this.#bounds.waiting && held <= this.#bounds.bytes;
  }

  #scheduleSweep(): void {
    if (this.#sweep !== undefined || this.#waiting.size + this.#running.size === 0) return;
    this.#sweep = setTimeout(() => {
      this.#sweep = undefined;
      this.#dropGone();
      this.#scheduleSweep();
    }, SWEEP_MS).unref();
  }

  #dropGone(): void {
    const before = this.#now() - GONE_MS;
    for (const [name, job] of [...this.#waiting, ...this.#running]) {
      if (job.gone.signal.aborted) continue;
      for (const [key, atMs] of job.askedAtMs) if (atMs < before) job.askedAtMs.delete(key);
      if (job.askedAtMs.size === 0) this.#abandon(name, job);
    }
  }

  #abandon(name: string, job: Job<T>): void {
    this.#dropped++;
    job.gone.abort();
    if (this.#waiting.delete(name)) job.outcome.reject(new TidemarkError('cancelled'));
  }

  #startNext(): void {
    while (this.#running.size < this.#bounds.running) {
      const next = this.#takeNext();
      if (!next) break;
      void this.#run(next.name, { ...next.job, key: next.key, startedAtMs: this.#now() });
    }
    if (this.#running.size === 0) this.#served.clear();
  }

  async #run(name: string, job: RunningJob<T>): Promise<void> {
    this.#running.set(name, job);
    await job.work(job.gone.signal).then(job.outcome.resolve, job.outcome.reject);
    this.#running.delete(name);
    this.#duration.add(this.#now() - job.startedAtMs);
    this.#dropGone();
    this.#startNext();
  }

  /** Removes and returns the first job of the key whose last turn is longest ago. Skips keys with a running job. */
  #takeNext(): { name: string; key: string; job: Job<T> } | null {
    const turns = new Map([...this.#served].map((key, turn) => [key, turn]));
    for (const { key } of this.#running.values()) turns.set(key, Number.POSITIVE_INFINITY);
    let best: { name: string; key: string; job: Job<T>; turn: number } | null = null;
    for (const [name, job] of this.#waiting)
      for (const key of job.askedAtMs.keys()) {
        const turn = turns.get(key) ?? -1;
        if (turn < (best?.turn ?? Number.POSITIVE_INFINITY)) best = { name, key, job, turn };
      }
    if (!best) return null;
    this.#waiting.delete(best.name);
    this.#served.delete(best.key);
    this.#served.add(best.key);
    return best;
  }
}

function newJob<T>(work: Work<T>, bytes: number): Job<T> {
  const outcome = Promise.withResolvers<T>();
  // Most clients learn the outcome when they ask again, so nobody may await this promise.
  outcome.promise.catch(() => undefined);
  return { work, bytes, askedAtMs: new Map(), outcome, gone: new AbortController() };
}
