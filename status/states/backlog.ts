import { makeState, type Reading, type State } from '../reading.ts';
import { action, atStart, dots, sentences } from './wording.ts';

/** States in which changes, or all of the data, are waiting for this PC. */

/** The share of the relay's retention time after which the horizon state begins. */
const HORIZON_WARN = 0.7;

/** This PC has no data yet. */
export function neverSynced({ facts, plan, format, names }: Reading): State | null {
  if (facts.replica.cursor !== null || (facts.lastRun?.outcome === 'cancelled' && facts.lastRun.mode !== 'check'))
    return null;
  const empty = facts.probe !== null && facts.probe.status.head === null;
  const ready =
    plan?.by === 'snapshot'
      ? `${format.counted(plan.tables, 'table')} ready to download (about ${format.bytes(plan.bytes)})`
      : null;
  return makeState(
    'never-synced',
    'info',
    {
      headline: 'No data yet',
      detail: empty
        ? `This PC has never synced, and ${names.relay} has no data yet: head office has not sent its first copy`
        : sentences('This PC has never synced', ready),
      short: 'No data yet',
    },
    empty ? { primary: action('check', 'Check again') } : { primary: action('first-sync') },
  );
}

/** Returns `1,284 changes`, or the number of transactions when only those are counted. */
export function backlogOf({ facts, waiting, format }: Reading): { text: string; count: number } {
  if (waiting !== null && waiting > 0) return { text: format.counted(waiting, 'change'), count: waiting };
  const head = facts.probe?.status.head?.seq ?? 0;
  const counted = facts.waiting?.transactions ?? head - (facts.replica.cursor?.seq ?? head);
  const count = Math.max(1, counted);
  return { text: format.counted(count, 'transaction'), count };
}

/** Returns a text such as `about 3 MB`. Null when the size is unknown. */
export function sizeOf({ bytes, plan, format }: Reading): string | null {
  if (bytes === null) return null;
  return `about ${format.bytes(bytes)}${plan?.by === 'snapshot' ? ' as a fresh copy' : ''}`;
}

/** Changes are waiting. Their number may grow with each answer. */
export function behind(reading: Reading): State | null {
  if (!reading.behind) return null;
  const { facts, format, now, trend, names } = reading;
  const { text, count } = backlogOf(reading);
  const oldestAt = facts.waiting?.oldestAt ?? null;
  const oldest =
    oldestAt === null ? null : `Oldest is from ${format.moment(oldestAt, now)} (${format.span(now - oldestAt)} ago)`;
  const size = sizeOf(reading);
  const actions = {
    primary: action('sync-now', 'Sync now', count),
    secondary: [action('check', 'Check again')],
  };
  if (trend === 'falling behind') {
    return makeState(
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
  const warns =
    count >= facts.thresholds.behindWarnChanges ||
    (oldestAt !== null && now - oldestAt >= facts.thresholds.behindWarnAgeMs);
  return makeState(
    'behind',
    warns ? 'warn' : 'info',
    {
      headline: `${text} waiting`,
      detail: dots(oldest, size) || `Newer data is ready on ${names.relay}`,
      short: `${text} waiting`,
    },
    actions,
    oldestAt,
  );
}

/** The relay will soon drop waiting changes. This PC will then need a fresh copy. */
export function horizon(reading: Reading): State | null {
  const { facts, format, now, names } = reading;
  const oldestAt = facts.waiting?.oldestAt ?? null;
  const until = facts.probe?.status.keepsUntil ?? null;
  if (!reading.behind || oldestAt === null || until === null || now >= until) return null;
  if (now - oldestAt < (until - oldestAt) * HORIZON_WARN) return null;
  const { text, count } = backlogOf(reading);
  const last = format.moment(until, now);
  return makeState(
    'horizon',
    'warn',
    {
      headline: `Sync before ${last}`,
      detail: sentences(
        dots(`${text} waiting`, sizeOf(reading)),
        `${atStart(names.relay)} keeps them until then; after that a fresh copy is needed`,
      ),
      short: `Sync before ${last}`,
    },
    { primary: action('sync-now', 'Sync now', count), secondary: [action('check', 'Check again')] },
    oldestAt,
  );
}

/** A person paused automatic runs. */
export function paused(reading: Reading): State | null {
  const { format, now, behind: isBehind, nothingWaits } = reading;
  const pause = reading.facts.paused;
  if (pause === null) return null;
  const { since, until } = pause;
  const by = pause.by.trim() || 'you';
  const end = until === null ? 'until you resume' : `until ${format.moment(until, now)}`;
  const waits = isBehind ? `${backlogOf(reading).text} waiting` : nothingWaits ? '0 changes waiting' : null;
  return makeState(
    'paused',
    'info',
    {
      headline: 'Paused',
      detail: sentences(`By ${by} ${format.at(since, now)} ${end}`, dots(waits, nothingWaits ? null : sizeOf(reading))),
      short: 'Paused',
    },
    { primary: action('resume'), secondary: [action('sync-now', 'Sync once')] },
    since,
  );
}
