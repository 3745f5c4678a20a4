import type { Progress } from '@tidemark/status/facts';

/** Measures how fast a count grows, from its latest points, and estimates when it reaches its total. */

/** Shortest interval between points, ms. */
const GAP_MS = 500;
/** How many points to keep, so that the rate is that of the last seconds. */
const MAX_POINTS = 20;
/**
 * Conditions for an estimate: at least this time, ms, at least this many points, and at most this variation between
 * their rates.
 */
const TRUSTED_AFTER_MS = 5_000;
const TRUSTED_POINTS = 4;
const TRUSTED_VARIATION = 0.5;

export class Meter {
  readonly #startedAt: number;
  #points: { at: number; done: number }[];

  constructor(now: number, done: number) {
    this.#startedAt = now;
    this.#points = [{ at: now, done }];
  }

  /** Adds a point. `now`: ms since 1970. */
  count(now: number, done: number): void {
    const last = this.#points.at(-1);
    if (last && now - last.at < GAP_MS) return;
    this.#points.push({ at: now, done });
    if (this.#points.length > MAX_POINTS) this.#points.shift();
  }

  /** Returns the rate, per second, and the seconds left. Each is null while it cannot be trusted. */
  read(now: number, done: number, total: number): Pick<Progress, 'rate' | 'etaS'> {
    const first = this.#points[0];
    const spanMs = first ? now - first.at : 0;
    if (!first || spanMs < GAP_MS) return { rate: null, etaS: null };
    const rate = Math.max(0, ((done - first.done) * 1000) / spanMs);
    const trusted =
      now - this.#startedAt >= TRUSTED_AFTER_MS && this.#points.length >= TRUSTED_POINTS && this.#isEven() && rate > 0;
    return { rate, etaS: trusted && total > 0 ? Math.max(0, (total - done) / rate) : null };
  }

  #isEven(): boolean {
    const rates = this.#points.slice(1).map((point, i) => {
      const before = this.#points[i] ?? point;
      return (point.done - before.done) / Math.max(1, point.at - before.at);
    });
    const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
    const variance = rates.reduce((sum, rate) => sum + (rate - mean) ** 2, 0) / rates.length;
    return mean > 0 && Math.sqrt(variance) / mean < TRUSTED_VARIATION;
  }
}
