import { TidemarkError } from '@tidemark/protocol/errors';

/**
 * Keys take turns on the event loop: each of its iterations serves one request of a key, and further ones wait for the
 * next iterations in the order of their arrival. A key that sends many requests at once therefore delays a request of
 * another key by one of its requests, not by all of them. See B19 in docs/protocol.md.
 */

/** Upper bound on the number of requests of one key that wait for their turn. */
export const WAITING_MAX = 256;

export class KeyTurns {
  /** Requests that wait for their turn, by key. A key without one had its turn in this iteration. */
  readonly #waiting = new Map<string, (() => void)[]>();

  /**
   * Takes the turn of a key. Returns null if the request has it, and otherwise a promise that resolves when it has.
   * Throws relay_busy if too many requests of the key wait.
   */
  take(key: string): Promise<void> | null {
    const waiting = this.#waiting.get(key);
    if (waiting && waiting.length >= WAITING_MAX) throw new TidemarkError('relay_busy');
    if (waiting) return new Promise((resolve) => waiting.push(resolve));
    if (this.#waiting.size === 0) setImmediate(() => this.#serve());
    this.#waiting.set(key, []);
    return null;
  }

  #serve(): void {
    for (const [key, waiting] of this.#waiting) {
      const next = waiting.shift();
      if (next) next();
      else this.#waiting.delete(key);
    }
    if (this.#waiting.size > 0) setImmediate(() => this.#serve());
  }
}
