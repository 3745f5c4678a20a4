/** When the sync engine's process is started again after it ended by itself. Times in ms. */

const WAITS_MS = [1_000, 2_000, 4_000, 8_000, 16_000] as const;
const WINDOW_MS = 10 * 60_000;

export type Verdict = { restart: true; afterMs: number; restarts: number } | { restart: false; restarts: number };

/** What to do after a crash at `now`. `crashes` are the times of earlier ones; the returned list takes its place. */
export function onCrash(crashes: readonly number[], now: number): { crashes: number[]; verdict: Verdict } {
  const recent = [...crashes.filter((at) => now - at < WINDOW_MS), now];
  const afterMs = WAITS_MS[recent.length - 1];
  const verdict: Verdict =
    afterMs === undefined
      ? { restart: false, restarts: WAITS_MS.length }
      : { restart: true, afterMs, restarts: recent.length };
  return { crashes: recent, verdict };
}
