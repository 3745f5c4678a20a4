import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';

/**
 * Counts requests without a valid key, so that a client that repeats one is asked to wait (`relay_busy`).
 *
 * Each count belongs to a client address and a key. A client that repeats its key does not change the answers to other
 * clients, even where a proxy or a shared line gives both the same address. Different keys of one address have no limit:
 * a key has 256 random bits, so guessing is hopeless, and every refusal costs the same. The table has a bound, and drops
 * the counts that were idle for longest.
 */

/** Requests with one bad key that one client may make in a minute. */
const BAD_KEYS_A_MINUTE = 120;
const MINUTE_MS = 60_000;
/** Largest number of counters. They take about 2 MB. */
const COUNTERS = 10_000;

export class BadKeys {
  readonly #counts = new LRUCache<string, { count: number }>({ max: COUNTERS, ttl: MINUTE_MS });

  /** Counts a request. Returns whether the client must wait. */
  isRepeated(client: string, key: string | null): boolean {
    const name = createHash('sha256')
      .update(`${client}\0${key ?? ''}`)
      .digest('base64')
      .slice(0, 22);
    const counter = this.#counts.get(name);
    if (!counter) {
      this.#counts.set(name, { count: 1 });
      return false;
    }
    return ++counter.count > BAD_KEYS_A_MINUTE;
  }

  get size(): number {
    return this.#counts.size;
  }
}
