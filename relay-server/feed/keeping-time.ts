import type { LogEnd } from '../log/feed-reader.ts';
import type { Retention } from '../log/retention.ts';

/** Until when the relay keeps the backlog of a terminal. Pure; times are ms since 1970. */

export interface KeepingFacts {
  nowMs: number;
  retention: Retention;
  /** When the oldest transaction that the terminal is missing was committed; null: it is missing none. */
  oldestMissingMs: number | null;
  /** The kept log; null: it is empty. */
  log: { oldest: LogEnd; newest: LogEnd } | null;
  /** Size of the log up to the terminal's cursor, bytes. */
  cursorBytes: number;
}

const DAY_MS = 86_400_000;
/** The last moment that a Date can hold, ms. */
const MAX_DATE_MS = 8.64e15;

/**
 * When retention drops the first transaction that the terminal is missing: by its age, or earlier when the log, growing at
 * its present rate, passes its size. Null: never, or nothing is missing.
 */
export function keepsUntilMs({ nowMs, retention, oldestMissingMs, log, cursorBytes }: KeepingFacts): number | null {
  if (oldestMissingMs === null) return null;
  let until = oldestMissingMs + retention.days * DAY_MS;
  if (retention.megabytes !== null && log) {
    const { oldest, newest } = log;
    const keptBytes = newest.bytes - oldest.bytes;
    const spanMs = newest.committedAtMs - oldest.committedAtMs;
    const roomBytes = Math.max(0, retention.megabytes * 1e6 - (newest.bytes - cursorBytes));
    if (keptBytes > 0 && spanMs > 0) until = Math.min(until, nowMs + (roomBytes * spanMs) / keptBytes);
  }
  return Number.isFinite(until) && until < MAX_DATE_MS ? until : null;
}
