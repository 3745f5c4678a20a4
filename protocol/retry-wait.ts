/**
 * Decides how long feed and terminal wait before they repeat a request. No other module may decide it, so that no
 * answer, from a relay or from a proxy in front of it, can make a program repeat a request without a pause. See
 * docs/protocol.md, W.
 *
 * {@link retryWaitMs} is for a request that failed, and {@link askAgainMs} for an answer that says "not ready yet". In
 * both, the answer's Retry-After can make a wait longer, up to a bound, but never shorter than the program's own wait.
 */

/** The bounds on a program's own waits between failed attempts. */
export interface Pace {
  /** Upper bound on the first wait, ms. It doubles with each failed attempt. */
  firstMs: number;
  /** Upper bound on every later wait, ms. */
  longestMs: number;
}

/** Upper bound on a wait that a Retry-After asks for, ms. */
export const LONGEST_ASKED_MS = 60 * 60_000;
/** Upper bound on the jitter that is added to a wait that a Retry-After asks for, ms. */
const ASKED_JITTER_MS = 2_000;
/** Each wait is at least this fraction of its upper bound, because jitter alone can give 0. */
const FLOOR_SHARE = 1 / 8;

/** Lower bound on a wait for something that the relay prepares, ms. */
const SHORTEST_ASK_MS = 1_000;
/** Upper bound on a wait for something that the relay prepares, ms. */
export const LONGEST_ASK_MS = 60_000;
/**
 * A program that has waited for some time waits this fraction of it again, so that its requests become less frequent.
 */
const ASK_SHARE = 1 / 8;

/**
 * Returns how long to wait after failed attempt number `attempt`, counted from 1, ms. `askedMs`: the wait that
 * Retry-After asks for. Null: none. `random` is in [0, 1) and spreads a fleet of programs, so that they do not all
 * return to a restarted relay at once.
 */
export function retryWaitMs(attempt: number, askedMs: number | null, random: number, pace: Pace): number {
  const ceiling = Math.min(pace.longestMs, pace.firstMs * 2 ** Math.min(attempt - 1, 20));
  const own = ceiling * Math.max(FLOOR_SHARE, random);
  if (askedMs === null) return own;
  return Math.max(own, Math.min(askedMs, LONGEST_ASKED_MS) + random * Math.min(ASKED_JITTER_MS, askedMs));
}

/**
 * Returns how long to wait before asking again for something that the relay prepares, ms. `waitedMs`: the time since
 * the first request.
 */
export function askAgainMs(waitedMs: number, askedMs: number | null, random: number): number {
  const wait = Math.max(SHORTEST_ASK_MS, waitedMs * ASK_SHARE, askedMs ?? 0);
  return Math.min(LONGEST_ASK_MS, wait * (1 + random * ASK_SHARE));
}

/**
 * Parses a Retry-After header, which holds seconds or an HTTP date. Returns the wait in ms; a date counts from `now`.
 * Null for any other value, and for a date that has passed.
 */
export function parseRetryAfter(value: unknown, now: number): number | null {
  if (typeof value !== 'string') return null;
  if (/^\d+$/.test(value)) return Math.min(LONGEST_ASKED_MS, Number(value) * 1000);
  // Date.parse accepts values that are not HTTP dates, such as `-1`.
  if (!/^[A-Z][a-z]{2,8}, /.test(value)) return null;
  const ms = Date.parse(value) - now;
  return ms > 0 ? Math.min(LONGEST_ASKED_MS, ms) : null;
}
