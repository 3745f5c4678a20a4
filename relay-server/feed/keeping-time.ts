import type { LogEnd } from '../log/feed-reader.ts';
import type { Retention } from '../log/retention.ts';

/**
 * Computes until when the relay keeps the backlog of a terminal. Pure functions; times are in ms since 1970.
 *
 * They predict the rules that `log/retention.ts` applies, so both change together: {@link DROPS_AT_MS} does not compile
 * until it has an entry for every key of `retention`.
 */

export interface KeepingFacts {
  nowMs: number;
  retention: Retention;
  /** Commit time of the oldest transaction that the terminal is missing; null if it is caught up. */
  oldestMissingMs: number | null;
  /** Both ends of the log; null if it is empty. */
  log: { oldest: LogEnd; newest: LogEnd } | null;
  /** Size of the log up to the terminal's cursor, in bytes. */
  cursorBytes: number;
}

const DAY_MS = 86_400_000;
/** The latest time that a Date can represent, in ms. */
const MAX_DATE_MS = 8.64e15;

type BacklogFacts = KeepingFacts & { oldestMissingMs: number };

/**
 * Returns when each rule of retention drops the first transaction that the terminal is missing. Infinity if the rule
 * sets no time.
 */
const DROPS_AT_MS: Record<keyof Retention, (facts: BacklogFacts) => number> = {
  days: ({ retention, oldestMissingMs }) => oldestMissingMs + retention.days * DAY_MS,
  megabytes({ nowMs, retention, log, cursorBytes }) {
    if (retention.megabytes === null || !log) return Number.POSITIVE_INFINITY;
    const { oldest, newest } = log;
    const keptBytes = newest.bytes - oldest.bytes;
    const spanMs = newest.committedAtMs - oldest.committedAtMs;
    const roomBytes = Math.max(0, retention.megabytes * 1e6 - (newest.bytes - cursorBytes));
    return keptBytes > 0 && spanMs > 0 ? nowMs + (roomBytes * spanMs) / keptBytes : Number.POSITIVE_INFINITY;
  },
};

/**
 * Returns the time at which retention will drop the first transaction that the terminal is missing. Its age determines
 * the time, or the size limit if the log will exceed it earlier at its current rate of growth. Returns null if no limit
 * applies or the terminal is caught up.
 */
export function keepsUntilMs(facts: KeepingFacts): number | null {
  const { oldestMissingMs } = facts;
  if (oldestMissingMs === null) return null;
  const until = Math.min(...Object.values(DROPS_AT_MS).map((dropsAtMs) => dropsAtMs({ ...facts, oldestMissingMs })));
  return Number.isFinite(until) && until < MAX_DATE_MS ? until : null;
}
