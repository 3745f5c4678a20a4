import type { Facts } from '@tidemark/status/facts';

/**
 * Passes changed facts to listeners, and limits how often. It is the only module between the machine and a screen that
 * may limit the rate, because a second limit would add to the delay.
 */

/** Shortest interval between two sets of facts, ms. */
const PUBLISH_MS = 100;
/** Time that published facts need to leave the process, ms. */
const LEAVE_MS = 20;

export class FactPublisher {
  readonly #facts: () => Facts;
  readonly #listeners = new Set<(facts: Facts) => void>();
  #due: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  constructor(facts: () => Facts) {
    this.#facts = facts;
  }

  /** Adds a listener and returns the function that removes it. */
  listen(listener: (facts: Facts) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Reports that the facts have changed. */
  publishSoon(): void {
    this.#due ??= setTimeout(() => {
      this.#due = undefined;
      if (!this.#stopped) this.#publish();
    }, PUBLISH_MS);
  }

  /** Publishes the facts and waits until they have left the process. Call it before work that keeps the thread busy. */
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
