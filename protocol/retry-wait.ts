/**
 * How long feed and terminal wait before they repeat a request. This is the only place that decides it, so that no answer,
 * from a relay or from a proxy in front of it, can make a program repeat a request without a pause. See docs/protocol.md, W.
 *
 * Two rules: {@link retryWaitMs} for a request that failed, {@link askAgainMs} for an answer that says "not ready yet". In
 * both, the answer's Retry-After can make a wait longer, up to a bound, and never shorter than the program's own wait.
 */

/** The program's own waits between failed attempts. */
export interface Pace {
  /** Upper bound on the first wait, ms. It doubles with each failed attempt. */
  firstMs: number;
  /** Upper bound on every later wait, ms. */
  longestMs: number;
}

/** Upper bound on a wait that a Retry-After asks for, ms. */
export const LONGEST_ASKED_MS = 60 * 60_000;
/** Jitter on top of a wait that a Retry-After asks for, at most, ms. */
const ASKED_JITTER_MS = 2_000;
/** Jitter can give 0, so a wait is at least this part of its upper bound. */
const FLOOR_SHARE = 1 / 8;

/** Lower bound on a wait for something that the relay prepares, ms. */
const SHORTEST_ASK_MS = 1_000;
/** Upper bound on a wait for something that the relay prepares, ms. */
export const LONGEST_ASK_MS = 60_000;
/** A program that has waited long waits this part of that time again, so that its requests become fewer. */
const ASK_SHARE = 1 / 8;

/**
 * How long to wait after failed attempt number `attempt`, counted from 1, ms. `askedMs`: the wait that Retry-After asks
 * for; null: none. `random` is in [0, 1) and spreads a fleet of programs, so that they do not return to a restarted relay at once.
 */
export function retryWaitMs(attempt: number, askedMs: number | null, random: number, pace: Pace): number {
  const ceiling = Math.min(pace.longestMs, pace.firstMs * 2 ** Math.min(attempt - 1, 20));
  const own = ceiling * Math.max(FLOOR_SHARE, random);
  if (askedMs === null) return own;
  return Math.max(own, Math.min(askedMs, LONGEST_ASKED_MS) + random * Math.min(ASKED_JITTER_MS, askedMs));
}

/**
 * How long to wait before asking again for something that the relay prepares, ms. `waitedMs`: the time since the first
 * request.
 */
export function askAgainMs(waitedMs: number, askedMs: number | null, random: number): number {
  const wait = Math.max(SHORTEST_ASK_MS, waitedMs * ASK_SHARE, askedMs ?? 0);
  return Math.min(LONGEST_ASK_MS, wait * (1 + random * ASK_SHARE));
}

/**
 * The wait that a Retry-After header asks for, ms. It holds seconds or an HTTP date, which counts from `now`. Null for
 * anything else, and for a date that has passed.
 */
export function parseRetryAfter(value: unknown, now: number): number | null {
  if (typeof value !== 'string') return null;
  if (/^\d+$/.test(value)) return Math.min(LONGEST_ASKED_MS, Number(value) * 1000);
  // Date.parse reads much that is no HTTP date, such as `-1`.
  if (!/^[A-Z][a-z]{2,8}, /.test(value)) return null;
  const ms = Date.parse(value) - now;
  return ms > 0 ? Math.min(LONGEST_ASKED_MS, ms) : null;
}
