/**
 * A bounded queue of builds that clients request by asking repeatedly until the result is ready.
 *
 * One build runs at a time. Keys take turns, and the builds of one key run in the order of its requests. Requests for
 * the same build share it. A build that waits is dropped when no client has asked for it for {@link GONE_MS}; a running
 * one completes. See B10 to B13 in docs/protocol.md.
 */

/** Upper bound on the number of builds that wait. */
const WAITING_MAX = 1000;
/** Upper bound on the number of waiting builds that one key asked for. */
const WAITING_MAX_PER_KEY = 8;
/** Time without a request after which a client counts as gone, in ms. Clients ask at least every 60 s (W2). */
export const GONE_MS = 90_000;

interface Waiting {
  run: () => Promise<void>;
  /** When each key last asked, in ms. */
  askedAtMs: Map<string, number>;
}

export class FairQueue {
  /** Waiting builds by name, in the order of their first requests. */
  readonly #waiting = new Map<string, Waiting>();
  /** Keys that had a turn, the one with the latest turn last. */
  readonly #served = new Set<string>();
  readonly #now: () => number;
  #running: string | null = null;
  #closed = false;

  /** `now` returns a time in ms that never decreases. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Number of builds that wait. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Adds a build, or renews the request for one that waits. `run` must handle its own errors. Returns false if the queue
   * has no room for the build.
   */
  ask(name: string, key: string, run: () => Promise<void>): boolean {
    if (this.#closed || this.#running === name) return true;
    const nowMs = this.#now();
    this.#dropAbandoned();
    const known = this.#waiting.get(name);
    if (!known?.askedAtMs.has(key) && !this.#hasRoom(key, known === undefined)) return false;
    if (known) known.askedAtMs.set(key, nowMs);
    else this.#waiting.set(name, { run, askedAtMs: new Map([[key, nowMs]]) });
    if (this.#running === null) void this.#work();
    return true;
  }

  /** Drops all waiting builds. The caller ends the running one. */
  close(): void {
    this.#closed = true;
    this.#waiting.clear();
  }

  /** `isNew`: no other key waits for the build. */
  #hasRoom(key: string, isNew: boolean): boolean {
    let ofKey = 0;
    for (const { askedAtMs } of this.#waiting.values()) if (askedAtMs.has(key)) ofKey++;
    return ofKey < WAITING_MAX_PER_KEY && (!isNew || this.#waiting.size < WAITING_MAX);
  }

  #dropAbandoned(): void {
    const before = this.#now() - GONE_MS;
    for (const [name, { askedAtMs }] of this.#waiting) {
      for (const [key, atMs] of askedAtMs) if (atMs < before) askedAtMs.delete(key);
      if (askedAtMs.size === 0) this.#waiting.delete(name);
    }
  }

  async #work(): Promise<void> {
    for (let next = this.#takeNext(); next; next = this.#takeNext()) {
      this.#running = next.name;
      try {
        await next.run();
      } finally {
        this.#running = null;
      }
    }
    this.#served.clear();
  }

  /** Removes and returns the first build of the key whose last turn is longest ago. */
  #takeNext(): { name: string; run: () => Promise<void> } | null {
    this.#dropAbandoned();
    const turns = new Map([...this.#served].map((key, turn) => [key, turn]));
    let best: { name: string; key: string; turn: number } | null = null;
    for (const [name, { askedAtMs }] of this.#waiting)
      for (const key of askedAtMs.keys()) {
        const turn = turns.get(key) ?? -1;
        if (best === null || turn < best.turn) best = { name, key, turn };
      }
    const found = best && this.#waiting.get(best.name);
    if (!best || !found) return null;
    this.#waiting.delete(best.name);
    this.#served.delete(best.key);
    this.#served.add(best.key);
    return { name: best.name, run: found.run };
  }
}
