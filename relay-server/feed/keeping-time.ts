import type { LogEnd } from '../log/feed-reader.ts';
import type { Retention } from '../log/retention.ts';

/**
 * Predicts until when the relay keeps the backlog of a terminal. Pure; times are ms since 1970.
 *
 * It predicts the rules that `log/retention.ts` applies, so both change together: {@link DROPS_AT_MS} does not compile
 * until it has an entry for every key of `retention`.
 */

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

type BacklogFacts = KeepingFacts & { oldestMissingMs: number };

/** When each rule of retention drops the first transaction that the terminal is missing. Infinity: as far as is known, never. */
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
 * When retention drops the first transaction that the terminal is missing: by its age, or earlier when the log, growing at
 * its present rate, passes its size. Null: never, or nothing is missing.
 */
export function keepsUntilMs(facts: KeepingFacts): number | null {
  const { oldestMissingMs } = facts;
  if (oldestMissingMs === null) return null;
  const until = Math.min(...Object.values(DROPS_AT_MS).map((dropsAtMs) => dropsAtMs({ ...facts, oldestMissingMs })));
  return Number.isFinite(until) && until < MAX_DATE_MS ? until : null;
}
