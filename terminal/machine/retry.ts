/** Waits between attempts grow from 2 s to 5 min, with full jitter, so that a fleet does not come back all at once. */
const FIRST_MS = 2_000;
export const LONGEST_MS = 5 * 60_000;
/** Full jitter could give 0: a relay that refuses at once would be hammered. */
const SHORTEST_MS = 250;
/** The relay is believed up to this wait. */
export const LONGEST_ASKED_MS = 60 * 60_000;

/**
 * How long to wait before attempt number `attempt` + 1, ms. `random` in [0, 1). When the relay asked for
 * a wait it is kept, with some jitter on top.
 */
export function waitMs(attempt: number, retryAfterMs: number | null, random: number): number {
  if (retryAfterMs !== null)
    return Math.min(retryAfterMs, LONGEST_ASKED_MS) + random * Math.min(FIRST_MS, retryAfterMs);
  const ceiling = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt - 1, 20));
  return Math.max(SHORTEST_MS, random * ceiling);
}

/** Whether the time has come. A wait longer than any that is ever set means that the clock was set back. */
export function isDue(at: number | null, now: number, longestMs: number): boolean {
  return at !== null && (now >= at || at - now > longestMs);
}
