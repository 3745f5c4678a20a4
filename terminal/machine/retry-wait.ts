import { type Pace, retryWaitMs } from '@tidemark/protocol/retry-wait';

/** The waits of the machine. Their rules are in `protocol/retry-wait.ts`. */

export const LONGEST_MS = 5 * 60_000;
const PACE: Pace = { firstMs: 2_000, longestMs: LONGEST_MS };

/** Returns how long to wait after failed attempt number `attempt`, ms. `random` is in [0, 1). */
export function waitMs(attempt: number, retryAfterMs: number | null, random: number): number {
  return retryWaitMs(attempt, retryAfterMs, random, PACE);
}

/**
 * Whether a time has come. A time more than `longestMs` away also counts, because the machine never sets such a wait:
 * the PC's clock was set back.
 */
export function isDue(at: number | null, now: number, longestMs: number): boolean {
  return at !== null && (now >= at || at - now > longestMs);
}
