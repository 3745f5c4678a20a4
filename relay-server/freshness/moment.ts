/**
 * Moments of one machine, by its two clocks. The monotonic clock ignores changes of the time of day, but some systems
 * stop it while the machine is suspended. The wall clock counts suspensions, but an administrator can set it back. The
 * longer of the two spans is therefore never much shorter than the real one.
 */
export interface Moment {
  wallMs: number;
  monotonicMs: number;
}

/** Returns a function that reads both clocks. `wall` returns ms since 1970. */
export const momentsOf = (wall: () => number) => (): Moment => ({ wallMs: wall(), monotonicMs: performance.now() });

/** Returns the time from `from` to `to`, in ms. Never negative. */
export function elapsedMs(from: Moment, to: Moment): number {
  return Math.max(0, to.wallMs - from.wallMs, to.monotonicMs - from.monotonicMs);
}

/** Returns the moment `ms` after `moment`. */
export const after = (moment: Moment, ms: number): Moment => ({
  wallMs: moment.wallMs + ms,
  monotonicMs: moment.monotonicMs + ms,
});

/** Returns the earlier moment, by the monotonic clock. */
export const earlier = (a: Moment, b: Moment): Moment => (a.monotonicMs <= b.monotonicMs ? a : b);
