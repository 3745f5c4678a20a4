import type { Facts } from '@tidemark/status/facts';

/** Listeners are told of new facts at most this often, ms. */
const TELL_MS = 100;
/** What was told leaves the process within this time, ms. */
const LEAVE_MS = 20;

/** Tells listeners the facts when they have changed. */
export class FactTeller {
  readonly #facts: () => Facts;
  readonly #listeners = new Set<(facts: Facts) => void>();
  #due: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  constructor(facts: () => Facts) {
    this.#facts = facts;
  }

  /** Returns the function that ends it. */
  listen(listener: (facts: Facts) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The facts have changed. */
  tell(): void {
    this.#due ??= setTimeout(() => {
      this.#due = undefined;
      if (!this.#stopped) this.#toAll();
    }, TELL_MS);
  }

  /** Tells before the thread is busy for a while. */
  async tellNow(): Promise<void> {
    if (this.#listeners.size === 0) return;
    this.#toAll();
    await new Promise((resolve) => setTimeout(resolve, LEAVE_MS));
  }

  stop(): void {
    this.#stopped = true;
  }

  #toAll(): void {
    if (this.#listeners.size === 0) return;
    const facts = this.#facts();
    for (const listener of this.#listeners) listener(facts);
  }
}
