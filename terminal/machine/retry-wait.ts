import { type Pace, retryWaitMs } from '@tidemark/protocol/retry-wait';

/** The waits of the machine. Their rules are in `protocol/retry-wait.ts`. */

export const LONGEST_MS = 5 * 60_000;
const PACE: Pace = { firstMs: 2_000, longestMs: LONGEST_MS };

/** How long to wait after failed attempt number `attempt`, ms. `random` is in [0, 1). */
export function waitMs(attempt: number, retryAfterMs: number | null, random: number): number {
  return retryWaitMs(attempt, retryAfterMs, random, PACE);
}

/** Whether a time has come. A wait longer than `longestMs` was never set: the clock was set back, and the time counts as come. */
export function isDue(at: number | null, now: number, longestMs: number): boolean {
  return at !== null && (now >= at || at - now > longestMs);
}
