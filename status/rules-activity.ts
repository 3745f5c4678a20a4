import type { Progress } from './facts.ts';
import { action, dots, type Found, found, type Reading } from './reading.ts';

const cancel = action('cancel');

/** A total that grew short is never shown: N of M with N ≤ M. */
const doneOf = ({ done, total }: Progress) => Math.min(done, total);

export function cancelling({ facts: { phase } }: Reading): Found | null {
  if (phase.kind !== 'cancelling') return null;
  return found(
    'cancelling',
    'busy',
    {
      headline: 'Cancelling…',
      detail: 'Finishing the current batch so no data is lost',
      short: 'Cancelling',
    },
    {},
    phase.since,
  );
}

/** A comparison awaits the relay when all rows here are read; until then its work is here. */
const awaitsRelay = ({ stage, done, total }: Progress) =>
  stage === 'downloading' || stage === 'preparing' || (stage === 'comparing' && done >= total);

/** No data for longer than the stall limit while data is awaited. */
export function stalled(reading: Reading): Found | null {
  const { progress, now, format, facts } = reading;
  if (progress === null || !awaitsRelay(progress)) return null;
  const { lastDataAt, deadlineAt } = progress;
  const silence = now - lastDataAt;
  if (silence <= facts.thresholds.stallMs) return null;
  return found(
    'syncing-slow',
    'warn',
    {
      headline: 'Still waiting for the relay',
      detail: `No data for ${format.span(silence)}. We keep trying${deadlineAt === null ? '' : ` until ${format.clock(deadlineAt)}`}`,
      short: 'Waiting for relay',
    },
    { primary: cancel, secondary: [action('copy-details')] },
    lastDataAt,
  );
}

export function finishing({ progress, facts: { replica }, format }: Reading): Found | null {
  if (progress?.stage !== 'finishing') return null;
  const position = progress.target ?? replica.cursor?.seq ?? null;
  return found(
    'finishing',
    'busy',
    {
      headline: 'Finishing…',
      detail: position === null ? 'Saving the position' : `Saving position ${format.count(position)}`,
      short: 'Finishing',
    },
    {},
    progress.startedAt,
  );
}

const eta = (progress: Progress, format: Reading['format']) =>
  progress.etaS === null ? null : `${format.left(progress.etaS * 1000)} left`;

export function firstSync({ facts: { phase }, progress, format }: Reading): Found | null {
  if (phase.kind !== 'syncing' || !phase.first || progress === null) return null;
  const known = progress.total > 0;
  const table =
    progress.table === null
      ? null
      : `${progress.table}${progress.tableCount > 0 ? ` (${Math.max(1, progress.tableIndex)} of ${format.counted(progress.tableCount, 'table')})` : ''}`;
  const rate = progress.rate === null ? null : `${format.count(progress.rate)} ${progress.unit}/s`;
  const doing = progress.stage === 'preparing' ? 'The relay is preparing the copy' : null;
  return found(
    'first-sync',
    'busy',
    {
      headline: known
        ? `First sync: ${format.count(doneOf(progress))} of ${format.counted(progress.total, progress.unit.slice(0, -1))}`
        : 'First sync: preparing the copy',
      detail: `${dots(doing, table, rate, eta(progress, format)) || 'Getting ready'}. You can keep working`,
      short: known ? `First sync ${format.percent(progress.done, progress.total)}` : 'First sync',
    },
    { primary: cancel, secondary: [action('pause')] },
    progress.startedAt,
  );
}

export function syncing({ progress, format }: Reading): Found | null {
  if (progress === null) return null;
  const known = progress.total > 0;
  const bytes =
    progress.bytesTotal > 0
      ? `${format.bytes(Math.min(progress.bytes, progress.bytesTotal))} of ${format.bytes(progress.bytesTotal)}`
      : null;
  const where =
    progress.table === null
      ? null
      : `${progress.stage === 'downloading' ? 'downloading' : 'applying to'} ${progress.table}`;
  const preparing = progress.stage === 'preparing' ? 'Asking the relay what is new' : null;
  return found(
    'syncing',
    'busy',
    {
      headline: known
        ? `Syncing: ${format.count(doneOf(progress))} of ${format.counted(progress.total, progress.unit.slice(0, -1))}`
        : 'Syncing…',
      detail: dots(preparing, bytes, eta(progress, format), where) || 'Receiving changes from the relay',
      short: known ? `Syncing ${format.percent(progress.done, progress.total)}` : 'Syncing',
    },
    { primary: cancel, secondary: [action('pause')] },
    progress.startedAt,
  );
}

export function checking({ facts: { phase }, names }: Reading): Found | null {
  if (phase.kind !== 'checking') return null;
  return found(
    'checking',
    'busy',
    {
      headline: 'Checking for changes…',
      detail: `Asking ${names.relay}`,
      short: 'Checking for changes',
    },
    { primary: cancel },
    phase.since,
  );
}

export function paused({ facts: { paused: pause }, waiting, bytes, format, now }: Reading): Found | null {
  if (pause === null) return null;
  const { since, until } = pause;
  const size = bytes === null || waiting === 0 ? null : `about ${format.bytes(bytes)}`;
  const by = [
    `By ${pause.by.trim() || 'you'}`,
    format.at(since, now),
    until === null ? 'until you resume' : `until ${format.moment(until, now)}`,
  ];
  return found(
    'paused',
    'info',
    {
      headline: 'Paused',
      detail: [by.join(' '), dots(waiting === null ? null : `${format.counted(waiting, 'change')} waiting`, size)]
        .filter((part) => part !== '')
        .join('. '),
      short: 'Paused',
    },
    { primary: action('resume'), secondary: [action('sync-now', 'Sync once')] },
    since,
  );
}
