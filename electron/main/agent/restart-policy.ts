/** Decides when the agent process restarts after a crash. Pure functions; times are in ms. */

const WAITS_MS = [1_000, 2_000, 4_000, 8_000, 16_000] as const;
/** Crashes older than this no longer count. */
const WINDOW_MS = 10 * 60_000;

export type Verdict = { restart: true; afterMs: number; restarts: number } | { restart: false; restarts: number };

/**
 * Decides the next step after a crash at `now`. `crashes` lists the times of earlier crashes; the returned list
 * replaces it.
 */
export function onCrash(crashes: readonly number[], now: number): { crashes: number[]; verdict: Verdict } {
  const recent = [...crashes.filter((at) => now - at < WINDOW_MS), now];
  const afterMs = WAITS_MS[recent.length - 1];
  const verdict: Verdict =
    afterMs === undefined
      ? { restart: false, restarts: WAITS_MS.length }
      : { restart: true, afterMs, restarts: recent.length };
  return { crashes: recent, verdict };
}
