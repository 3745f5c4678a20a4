import { action, dots, type Found, found, type Reading } from './reading.ts';

/** A clock that is off by this much makes the times shown misleading. */
const CLOCK_WARN_MS = 5 * 60_000;
/** The horizon is warned of when this part of the time that changes are kept has passed. */
const HORIZON_WARN = 0.7;

export function neverSynced({ facts, plan, format, names }: Reading): Found | null {
  if (facts.replica.cursor !== null || (facts.lastRun?.outcome === 'cancelled' && facts.lastRun.mode !== 'check'))
    return null;
  const empty = facts.probe !== null && facts.probe.status.head === null;
  const ready =
    plan?.by === 'snapshot'
      ? `. ${format.counted(plan.tables, 'table')} ready to download (about ${format.bytes(plan.bytes)})`
      : '';
  return found(
    'never-synced',
    'info',
    {
      headline: 'No data yet',
      detail: empty
        ? `This PC has never synced, and ${names.relay} has no data yet: head office has not sent its first copy`
        : `This PC has never synced${ready}`,
      short: 'No data yet',
    },
    empty ? { primary: action('check', 'Check again') } : { primary: action('first-sync') },
  );
}

/** A person stopped the last run, and nothing newer is known. */
export function cancelled({ facts, waiting, behind, format, answeredAt }: Reading): Found | null {
  const run = facts.lastRun;
  if (run?.outcome !== 'cancelled' || run.mode === 'check') return null;
  // What a comparison that was stopped leaves is what was there: how far that is, the other states say.
  if (run.mode === 'verify' && facts.replica.cursor !== null) return null;
  const newer = answeredAt !== null && answeredAt > run.endedAt;
  if (newer || (facts.replica.cursor !== null && !behind)) return null;
  const done = run.inserted + run.updated + run.deleted + run.truncated;
  const left = waiting ?? run.left;
  return found(
    'cancelled',
    'info',
    {
      headline: 'Sync cancelled',
      detail: `${format.counted(done, 'change')} ${done === 1 ? 'was' : 'were'} saved. ${left === null ? '' : `${format.count(left)} still waiting; `}${left === null ? 'The' : 'the'} next sync continues from here`,
      short: left === null ? 'Sync cancelled' : `Behind by ${format.count(left)}`,
    },
    {
      primary: action(
        facts.replica.cursor === null ? 'first-sync' : 'sync-now',
        'Sync now',
        left === null || left === 0 ? undefined : left,
      ),
    },
    run.endedAt,
  );
}

/** What waits, as a headline says it: changes, or transactions where only those are counted. */
function backlog({ facts, waiting, format }: Reading): {
  text: string;
  count: number;
} {
  if (waiting !== null && waiting > 0) return { text: format.counted(waiting, 'change'), count: waiting };
  const head = facts.probe?.status.head?.seq ?? 0;
  const counted = facts.waiting?.transactions ?? head - (facts.replica.cursor?.seq ?? head);
  const count = Math.max(1, counted);
  return { text: format.counted(count, 'transaction'), count };
}

/** `about 3 MB`; where a copy is dearer than the changes or cheaper, it says so. */
function sizeToCome({ bytes, plan, format }: Reading): string | null {
  if (bytes === null) return null;
  return `about ${format.bytes(bytes)}${plan?.by === 'snapshot' ? ' as a fresh copy' : ''}`;
}

export function behind(reading: Reading): Found | null {
  if (!reading.behind) return null;
  const { facts, format, now, trend } = reading;
  const { text, count } = backlog(reading);
  const oldestAt = facts.waiting?.oldestAt ?? null;
  const oldest =
    oldestAt === null ? null : `Oldest is from ${format.moment(oldestAt, now)} (${format.span(now - oldestAt)} ago)`;
  const size = sizeToCome(reading);
  const actions = {
    primary: action('sync-now', 'Sync now', count),
    secondary: [action('check', 'Check again')],
  };
  if (trend === 'falling behind') {
    return found(
      'falling-behind',
      'warn',
      {
        headline: `${text} waiting and growing`,
        detail: dots('Changes arrive faster than this PC receives them', oldest, size),
        short: 'Falling behind',
      },
      actions,
      oldestAt,
    );
  }
  const much =
    count >= facts.thresholds.behindWarnChanges ||
    (oldestAt !== null && now - oldestAt >= facts.thresholds.behindWarnAgeMs);
  return found(
    'behind',
    much ? 'warn' : 'info',
    {
      headline: `${text} waiting`,
      detail: dots(oldest, size) || 'Newer data is ready at the relay',
      short: `Behind by ${text}`,
    },
    actions,
    oldestAt,
  );
}

/** What waits here will soon be kept no longer: afterwards a fresh copy is needed. */
export function horizon(reading: Reading): Found | null {
  const { facts, format, now } = reading;
  const oldestAt = facts.waiting?.oldestAt ?? null;
  const until = facts.probe?.status.keepsUntil ?? null;
  if (!reading.behind || oldestAt === null || until === null || now >= until) return null;
  if (now - oldestAt < (until - oldestAt) * HORIZON_WARN) return null;
  const { text, count } = backlog(reading);
  const last = format.moment(until, now);
  return found(
    'horizon',
    'warn',
    {
      headline: `Sync before ${last}`,
      detail: `${dots(`${text} waiting`, sizeToCome(reading))}. The relay keeps them until then; after that a fresh copy is needed`,
      short: `Sync before ${last}`,
    },
    { primary: action('sync-now', 'Sync now', count), secondary: [action('check', 'Check again')] },
    oldestAt,
  );
}

export function relayBehind(reading: Reading): Found | null {
  const { facts, sourceLag, names, format, now, atHead, answerAge, answeredAt } = reading;
  if (sourceLag === null || facts.replica.cursor === null) return null;
  if (typeof sourceLag === 'number' && sourceLag < facts.thresholds.sourceLagWarnMs) return null;
  // An old answer says how it was then; while more waits here, it is beside the point.
  if (!atHead && answerAge > facts.thresholds.freshMs) return null;
  const much = typeof sourceLag === 'number' ? `${format.span(sourceLag)} behind ${names.central}` : null;
  const what = much
    ? `the relay is ${much}`
    : sourceLag === 'lost'
      ? `the relay has no contact with ${names.central}`
      : `how far the relay is behind ${names.central} is not known yet`;
  const asOf =
    answeredAt !== null && answerAge > facts.thresholds.freshMs ? `As of ${format.moment(answeredAt, now)}` : null;
  const cause =
    sourceLag === 'unknown'
      ? 'The relay is reconnecting to head office'
      : 'Newer data exists at head office and is not available yet';
  return found(
    'relay-behind',
    sourceLag === 'unknown' ? 'info' : 'warn',
    {
      headline: atHead ? `This PC matches the relay, but ${what}` : what.charAt(0).toUpperCase() + what.slice(1),
      detail: dots(asOf, cause),
      short:
        typeof sourceLag === 'number'
          ? `Relay ${format.span(sourceLag)} behind`
          : sourceLag === 'lost'
            ? 'Relay lost head office'
            : 'Relay is reconnecting',
    },
    {
      primary: action('check', 'Check again'),
      secondary: [action('copy-details')],
    },
    typeof sourceLag === 'number' ? (facts.probe?.status.feed.heardAt ?? null) : null,
  );
}

/** The relay has not heard from head office for a while, though not yet for as long as makes it behind. */
export function silent({
  facts: { probe, replica, thresholds },
  answeredAt,
  answerAge,
  format,
  now,
}: Reading): Found | null {
  if (probe === null || replica.cursor === null || answeredAt === null || answerAge > thresholds.freshMs) return null;
  const { feed, now: relayNow } = probe.status;
  const { heardAt } = feed;
  if (feed.connected || heardAt === null) return null;
  const since = format.moment(answeredAt - Math.max(0, relayNow - heardAt), now);
  return found(
    'relay-behind',
    'warn',
    {
      headline: `The relay has not heard from head office since ${since}`,
      detail: 'Newer data may exist there. It comes when the relay hears from it again',
      short: `Head office not heard since ${since}`,
    },
    { primary: action('check', 'Check again'), secondary: [action('copy-details')] },
    feed.heardAt,
  );
}

export function clock({ facts: { clockSkewMs }, format }: Reading): Found | null {
  if (clockSkewMs === null || !(Math.abs(clockSkewMs) >= CLOCK_WARN_MS)) return null;
  return found(
    'clock',
    'warn',
    {
      headline: `This PC's clock is ${format.span(Math.abs(clockSkewMs))} off`,
      detail: `Times shown may be wrong and sign-in can fail. It is ${clockSkewMs > 0 ? 'ahead of' : 'behind'} the relay's clock; set it in the time settings of this PC`,
      short: 'Clock is off',
    },
    { primary: action('check', 'Check again') },
  );
}

/** Age (ms) at which an answer counts as stale: sooner where automatic checks should have come. */
function staleMs({ facts: { schedule, thresholds } }: Reading): number {
  if (schedule.everyMs === null) return thresholds.staleMs;
  return Math.min(thresholds.staleMs, Math.max(3 * schedule.everyMs, thresholds.freshMs));
}

export function stale(reading: Reading): Found | null {
  const { facts, answeredAt, answerAge, format, now } = reading;
  if (
    facts.replica.cursor === null ||
    answeredAt === null ||
    !Number.isFinite(answerAge) ||
    answerAge <= staleMs(reading)
  )
    return null;
  const off = facts.schedule.everyMs === null;
  const when = format.moment(answeredAt, now);
  return found(
    'stale',
    'warn',
    {
      headline: `Not checked since ${when}`,
      detail: `Data may be out of date. Automatic checks are ${off ? 'off' : `every ${format.words(facts.schedule.everyMs ?? 0)}`}`,
      short: `Not checked since ${when}`,
    },
    {
      primary: action('sync-now'),
      secondary: [off ? action('settings', 'Turn on automatic checks') : null, action('check')],
    },
    answeredAt,
  );
}

/** The conditions of `up to date` that hold at the last answer, whatever its age. */
function matched({ facts, atHead, behind: more, waiting, sourceLag, fault }: Reading): boolean {
  return (
    atHead &&
    !more &&
    waiting === 0 &&
    typeof sourceLag === 'number' &&
    sourceLag < facts.thresholds.sourceLagWarnMs &&
    fault === null &&
    facts.replica.fault === null &&
    facts.retry === null
  );
}

export function upToDate(reading: Reading): Found | null {
  const { facts, answeredAt, asOf, answerAge, format, now } = reading;
  if (facts.probe === null || facts.replica.cursor === null || asOf === null || !matched(reading)) return null;
  if (!Number.isFinite(answerAge)) return null;
  const when = format.moment(asOf, now);
  if (answerAge > facts.thresholds.freshMs) {
    return found(
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
  return found(
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

/** Where nothing else is certain. */
export function unknown(reading: Reading): Found {
  const detail = whyUnknown(reading);
  return found(
    'unknown',
    'unknown',
    { headline: 'Status not known yet', detail, short: 'Status not known' },
    { primary: action('check') },
  );
}

function whyUnknown({ facts, answeredAt, answerAge, format, now }: Reading): string {
  if (answeredAt === null) return 'Waiting for the first answer from the sync agent';
  const when = format.moment(answeredAt, now);
  if (!Number.isFinite(answerAge))
    return `The last answer is dated ${when}: the clock of this PC was probably set back`;
  if (facts.probe === null) return `The last sync ended ${format.at(answeredAt, now)}; the relay was not asked since`;
  return `The answer from ${when} does not tell how far this PC is`;
}
