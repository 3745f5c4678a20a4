import type { Facts } from '@tidemark/status/facts';

/**
 * Hands facts to listeners when they have changed. This is the only throttle between the machine and a screen: code
 * that passes facts on must not add another, or screens lag twice.
 */

/** Facts are published at most this often, ms. */
const PUBLISH_MS = 100;
/** Published facts need this long to leave the process, ms. */
const LEAVE_MS = 20;

export class FactPublisher {
  readonly #facts: () => Facts;
  readonly #listeners = new Set<(facts: Facts) => void>();
  #due: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  constructor(facts: () => Facts) {
    this.#facts = facts;
  }

  /** Returns the function that removes the listener. */
  listen(listener: (facts: Facts) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The facts have changed. */
  publishSoon(): void {
    this.#due ??= setTimeout(() => {
      this.#due = undefined;
      if (!this.#stopped) this.#publish();
    }, PUBLISH_MS);
  }

  /** Publishes before work that keeps the thread busy, and waits until the facts have left the process. */
  async publishNow(): Promise<void> {
    if (this.#listeners.size === 0) return;
    this.#publish();
    await new Promise((resolve) => setTimeout(resolve, LEAVE_MS));
  }

  stop(): void {
    this.#stopped = true;
  }

  #publish(): void {
    if (this.#listeners.size === 0) return;
    const facts = this.#facts();
    for (const listener of this.#listeners) listener(facts);
  }
}
