/**
 * Limits how often an event of the operating system ends a wait.
 *
 * A flapping network card reports its return every few seconds, and some PCs wake every few seconds. The first event
 * takes effect at once. The next one takes effect when {@link SPACING_MS} are over, however many come before. A monotonic
 * clock measures this time, so that setting the PC's clock does not shorten it.
 */

/** Shortest time between two calls, ms. */
export const SPACING_MS = 2 * 60_000;

export class SpacedCall {
  readonly #call: () => void;
  #lastAtMs = Number.NEGATIVE_INFINITY;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(call: () => void) {
    this.#call = call;
  }

  /** Calls now, or once the time since the last call is long enough. */
  request(): void {
    if (this.#timer !== undefined) return;
    const waitMs = this.#lastAtMs + SPACING_MS - performance.now();
    if (waitMs <= 0) this.#run();
    else this.#timer = setTimeout(() => this.#run(), waitMs);
  }

  /** Drops a call that has been requested and is not due yet. */
  cancel(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #run(): void {
    this.#timer = undefined;
    this.#lastAtMs = performance.now();
    this.#call();
  }
}
