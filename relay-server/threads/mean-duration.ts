/**
 * The recent duration of jobs, and the wait that follows from it. Later jobs count more than earlier ones.
 */

/** Bounds of a wait, in seconds. */
const LEAST_S = 1;
const MOST_S = 30;
/** Weight of the latest job, 0 to 1. */
const LATEST = 0.3;

export class MeanDuration {
  /** In ms. Null before the first job. */
  #meanMs: number | null = null;

  add(durationMs: number): void {
    this.#meanMs = this.#meanMs === null ? durationMs : this.#meanMs * (1 - LATEST) + durationMs * LATEST;
  }

  /** Returns the time in which so many jobs run, less the time that has passed, as a wait in seconds from 1 to 30. */
  retryAfterS(jobs: number, passedMs = 0): number {
    const leftS = Math.ceil(((this.#meanMs ?? 0) * jobs - passedMs) / 1000);
    return Math.min(MOST_S, Math.max(LEAST_S, leftS));
  }
}
