import { makeState, type Reading, type State } from '../reading.ts';
import { action, atStart, sentences } from './wording.ts';

/** States that describe how current the data is: up to date, an old answer, a relay that is behind, a wrong clock. */

/** A clock that is wrong by at least this much makes the displayed times misleading. */
const CLOCK_WARN_MS = 5 * 60_000;

/** The relay is far behind the master, or its lag is unknown. */
export function relayBehind(reading: Reading): State | null {
  const { facts, sourceLag, names, format, now, atHead, isOld, answeredAt } = reading;
  if (sourceLag === null || facts.replica.cursor === null) return null;
  if (typeof sourceLag === 'number' && sourceLag < facts.thresholds.sourceLagWarnMs) return null;
  // While changes are waiting, an old answer about the relay's own lag adds no information.
  if (!atHead && isOld) return null;
  const { claim, cause, short } = lagWords(sourceLag, reading);
  // The relay holds everything up to its newest commit, so a recent commit bounds an unknown lag.
  const { head, now: relayNow } = facts.probe?.status ?? {};
  const isBounded =
    head != null && relayNow !== undefined && relayNow - head.committedAt < facts.thresholds.sourceLagWarnMs;
  const checked = answeredAt !== null && isOld ? `Last checked ${format.at(answeredAt, now)}` : null;
  return makeState(
    'relay-behind',
    sourceLag === 'unknown' && isBounded ? 'info' : 'warn',
    {
      headline: atHead ? `This PC matches ${names.relay}, but ${claim}` : atStart(claim),
      detail: sentences(checked, cause),
      short,
    },
    {
      primary: action('check', 'Check again'),
      secondary: [action('copy-details')],
    },
    typeof sourceLag === 'number' ? (facts.probe?.status.feed.heardAt ?? null) : null,
  );
}

function lagWords(lag: number | 'unknown' | 'lost', { names: { relay, central }, format }: Reading) {
  if (typeof lag === 'number') {
    const span = format.span(lag);
    return {
      claim: `${relay} is ${span} behind ${central}`,
      cause: 'Newer data may exist at head office and is not available yet',
      short: `Sync server ${span} behind`,
    };
  }
  if (lag === 'lost')
    return {
      claim: `${relay} has no contact with ${central}`,
      cause: 'Newer data may exist at head office and is not available yet',
      short: 'No contact with head office',
    };
  return {
    claim: `how far ${relay} is behind ${central} is not known yet`,
    cause: `${atStart(relay)} is reconnecting to head office`,
    short: 'Sync server is reconnecting',
  };
}

/** The relay has not heard from head office for a while, but not long enough to count as behind. */
export function silent({
  facts: { probe, replica },
  answeredAt,
  isOld,
  atHead,
  format,
  names,
  now,
}: Reading): State | null {
  if (probe === null || replica.cursor === null || answeredAt === null || (isOld && !atHead)) return null;
  const { feed, now: relayNow } = probe.status;
  const { heardAt } = feed;
  if (feed.connected || heardAt === null) return null;
  const since = format.moment(answeredAt - Math.max(0, relayNow - heardAt), now);
  return makeState(
    'relay-behind',
    'warn',
    {
      headline: `${atStart(names.relay)} has not heard from head office since ${since}`,
      detail: sentences(
        isOld ? `Last checked ${format.at(answeredAt, now)}` : null,
        'Newer data may exist there. It arrives when the connection is back',
      ),
      short: `Head office not heard since ${since}`,
    },
    { primary: action('check', 'Check again'), secondary: [action('copy-details')] },
    heardAt,
  );
}

/** This PC's clock differs from the relay's. */
export function clock({ facts: { clockSkewMs }, format }: Reading): State | null {
  if (clockSkewMs === null || !(Math.abs(clockSkewMs) >= CLOCK_WARN_MS)) return null;
  return makeState(
    'clock',
    'warn',
    {
      headline: `This PC's clock is ${format.span(Math.abs(clockSkewMs))} off`,
      detail: sentences(
        'Times shown may be wrong and sign-in can fail',
        `The clock is ${clockSkewMs > 0 ? 'ahead of' : 'behind'} the sync server's; correct it in the time settings of this PC`,
      ),
      short: 'Clock is off',
    },
    { primary: action('check', 'Check again') },
  );
}

/**
 * Returns the age at which an answer is stale, ms. The age is lower when an automatic check should have brought a newer
 * one.
 */
function staleMs({ facts: { schedule, thresholds } }: Reading): number {
  if (schedule.everyMs === null) return thresholds.staleMs;
  return Math.min(thresholds.staleMs, Math.max(3 * schedule.everyMs, thresholds.freshMs));
}

/** The relay's last answer is so old that the data may be out of date. */
export function stale(reading: Reading): State | null {
  const { facts, answeredAt, answerAge, format, now } = reading;
  if (facts.replica.cursor === null || answeredAt === null) return null;
  if (!Number.isFinite(answerAge) || answerAge <= staleMs(reading)) return null;
  const { everyMs } = facts.schedule;
  const when = format.moment(answeredAt, now);
  return makeState(
    'stale',
    'warn',
    {
      headline: `Not checked since ${when}`,
      detail: `Data may be out of date. Automatic checks are ${everyMs === null ? 'off' : `every ${format.words(everyMs)}`}`,
      short: `Not checked since ${when}`,
    },
    {
      primary: action('sync-now'),
      secondary: [everyMs === null ? action('settings', 'Turn on automatic checks') : null, action('check')],
    },
    answeredAt,
  );
}

/**
 * Whether, at the last answer, this PC had everything that the master sends: the conditions of `up-to-date`, apart from
 * the age of the answer and tables in trouble.
 */
export function isCurrent({ facts, atHead, behind, waiting, sourceLag, fault }: Reading): boolean {
  const feed = facts.probe?.status.feed;
  return (
    feed?.connected === true &&
    feed.fault === undefined &&
    atHead &&
    !behind &&
    waiting === 0 &&
    typeof sourceLag === 'number' &&
    sourceLag < facts.thresholds.sourceLagWarnMs &&
    fault === null &&
    facts.replica.fault === null &&
    facts.retry === null
  );
}

/** Up to date, or up to date at the last answer, which is no longer fresh. */
export function upToDate(reading: Reading): State | null {
  const { facts, answeredAt, asOf, answerAge, isOld, format, now, troubledElsewhere } = reading;
  if (facts.probe === null || facts.replica.cursor === null || asOf === null || !isCurrent(reading)) return null;
  if (facts.replica.setAside.count > 0 || troubledElsewhere > 0 || !Number.isFinite(answerAge)) return null;
  if (isOld) {
    return makeState(
      'up-to-date-old',
      'info',
      {
        headline: `Was up to date ${format.at(asOf, now)}`,
        detail: `Not checked for ${format.words(answerAge)}`,
        short: `Last checked ${format.span(answerAge)} ago`,
      },
      { primary: action('check'), secondary: [action('sync-now')] },
      answeredAt,
    );
  }
  const when = format.moment(asOf, now);
  return makeState(
    'up-to-date',
    'ok',
    {
      headline: 'Up to date',
      detail: `As of ${when} · 0 changes waiting · position ${format.count(facts.replica.cursor.seq)}`,
      short: `Up to date as of ${when}`,
    },
    { primary: action('check') },
    answeredAt,
  );
}

/** No other state can be derived from the facts. */
export function unknown(reading: Reading): State {
  return makeState(
    'unknown',
    'unknown',
    { headline: 'Status not known yet', detail: whyUnknown(reading), short: 'Status not known' },
    { primary: action('check') },
  );
}

function whyUnknown({ facts, answeredAt, answerAge, format, names, now }: Reading): string {
  if (answeredAt === null) return 'Waiting for the first answer from the sync server';
  const when = format.moment(answeredAt, now);
  if (!Number.isFinite(answerAge))
    return `The last answer is dated ${when}: the clock of this PC was probably set back`;
  if (facts.probe === null)
    return `The last sync ended ${format.at(answeredAt, now)}; ${names.relay} was not asked since`;
  return `The answer from ${when} does not show how far this PC is`;
}
