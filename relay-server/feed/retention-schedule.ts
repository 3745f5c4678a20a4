/**
 * Runs retention when the feed opens and then every minute, step by step, so that batches are applied between two steps.
 * A step that fails has dropped nothing and is tried again at the next run.
 */

/** How often retention runs, ms. */
const EVERY_MS = 60_000;

export class RetentionSchedule {
  readonly #step: () => Promise<boolean>;
  readonly #onFailure: (error: unknown) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  /** `step` drops a bounded number of transactions and returns whether there is more to drop. */
  constructor(step: () => Promise<boolean>, onFailure: (error: unknown) => void) {
    this.#step = step;
    this.#onFailure = onFailure;
  }

  /** Runs once, and schedules the next run. */
  async run(): Promise<void> {
    try {
      while (!this.#stopped && (await this.#step()));
    } catch (error) {
      this.#onFailure(error);
    }
    if (!this.#stopped) this.#timer = setTimeout(() => void this.run(), EVERY_MS).unref();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }
}
