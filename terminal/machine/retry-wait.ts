/**
 * How long the machine waits. Waits between attempts grow from 2 s to 5 min with full jitter, so that a fleet of
 * terminals does not return to a restarted relay all at once.
 */

const FIRST_MS = 2_000;
export const LONGEST_MS = 5 * 60_000;
/** Shortest wait, ms. Full jitter can give 0, and the terminal would then flood a relay that rejects it at once. */
const SHORTEST_MS = 250;
/** Longest wait that the relay can ask for, ms. */
export const LONGEST_ASKED_MS = 60 * 60_000;

/** How often to ask whether the relay has finished preparing something, ms, when its answer does not say. */
export const ASK_AGAIN_MS = 2_000;

/**
 * Returns how long to wait before attempt number `attempt` + 1, ms. `random` is in [0, 1). A wait that the relay asked
 * for is respected, with up to 2 s of jitter added.
 */
export function waitMs(attempt: number, retryAfterMs: number | null, random: number): number {
  if (retryAfterMs !== null)
    return Math.min(retryAfterMs, LONGEST_ASKED_MS) + random * Math.min(FIRST_MS, retryAfterMs);
  const ceiling = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt - 1, 20));
  return Math.max(SHORTEST_MS, random * ceiling);
}

/**
 * Whether a time has come. A time more than `longestMs` away also counts, because the machine never sets such a wait:
 * the PC's clock was set back.
 */
export function isDue(at: number | null, now: number, longestMs: number): boolean {
  return at !== null && (now >= at || at - now > longestMs);
}
