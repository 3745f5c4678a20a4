/**
 * Keys take turns on the event loop: each of its iterations serves one request of a key, and further ones wait for the
 * next iterations in the order of their arrival. A key that sends many requests at once therefore delays a request of
 * another key by one of its requests, not by all of them. See B19 in docs/protocol.md.
 */
export class KeyTurns {
  /** Requests that wait for their turn, by key. A key without one had its turn in this iteration. */
  readonly #waiting = new Map<string, (() => void)[]>();

  /** Takes the turn of a key. Returns null if the request has it, and otherwise a promise that resolves when it has. */
  take(key: string): Promise<void> | null {
    const waiting = this.#waiting.get(key);
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
