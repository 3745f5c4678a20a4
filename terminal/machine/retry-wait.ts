/**
 * How long the machine waits. Waits between attempts grow from 2 s to 5 min with full jitter, so that a fleet of
 * terminals does not return to a restarted relay all at once.
 */

const FIRST_MS = 2_000;
export const LONGEST_MS = 5 * 60_000;
/** Full jitter can give 0, and a relay that refuses at once would be hammered. */
const SHORTEST_MS = 250;
/** Upper bound on a wait that the relay asks for. */
export const LONGEST_ASKED_MS = 60 * 60_000;

/** How often the relay is asked whether what it prepares is ready, where its answer does not say, ms. */
export const ASK_AGAIN_MS = 2_000;

/**
 * How long to wait before attempt number `attempt` + 1, ms. `random` is in [0, 1). A wait that the relay asked for is
 * kept, with up to 2 s of jitter on top.
 */
export function waitMs(attempt: number, retryAfterMs: number | null, random: number): number {
  if (retryAfterMs !== null)
    return Math.min(retryAfterMs, LONGEST_ASKED_MS) + random * Math.min(FIRST_MS, retryAfterMs);
  const ceiling = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt - 1, 20));
  return Math.max(SHORTEST_MS, random * ceiling);
}

/** Whether a time has come. A wait longer than `longestMs` was never set: the clock was set back, and the time counts as come. */
export function isDue(at: number | null, now: number, longestMs: number): boolean {
  return at !== null && (now >= at || at - now > longestMs);
}
