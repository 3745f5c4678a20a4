/**
 * Runs retention when the feed opens and then every minute. A run consists of steps, so that the writer can apply
 * batches between them. A failed step drops nothing; the next run repeats it.
 */

/** How often retention runs, in ms. */
const EVERY_MS = 60_000;

export class RetentionSchedule {
  readonly #step: () => Promise<boolean>;
  readonly #onFailure: (error: unknown) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  /** `step` must drop a limited number of transactions and return whether there is more to drop. */
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
