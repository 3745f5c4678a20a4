import { ERRORS, fill } from '@tidemark/protocol/errors';
import { makeState, type Reading, type State } from '../reading.ts';
import { faultFor } from './error-states.ts';
import { action, dots, progressOf, sentences, tableOf, timeLeft } from './wording.ts';

/** States of a comparison with the relay, and of data that differs from the relay's. */

const cancel = action('cancel');
const READABLE = 'The data here stays readable during the download';
const OTHERS_READ = 'other programs can keep reading';

/** The engine compares digests of this PC's rows with the relay's. */
export function comparing(reading: Reading): State | null {
  const { progress, format, names } = reading;
  if (progress?.stage !== 'comparing') return null;
  const rows = progressOf(progress, reading);
  const allRead = rows !== null && progress.done >= progress.total;
  return makeState(
    'comparing',
    'busy',
    {
      headline: `Comparing with ${names.relay}${rows === null ? '…' : `: ${rows}`}`,
      detail: dots(
        tableOf(progress, reading),
        allRead ? `waiting for ${names.relay}` : timeLeft(progress, reading),
        OTHERS_READ,
      ),
      short: rows === null ? 'Comparing' : `Comparing ${format.percent(progress.done, progress.total)}`,
    },
    { primary: cancel },
    progress.startedAt,
  );
}

/** The engine downloads rows that differ, after a comparison or a change of the data selection. */
export function repairing(reading: Reading): State | null {
  const { progress, format, plan } = reading;
  if (progress?.stage !== 'repairing') return null;
  const rows = progressOf(progress, reading);
  const work = plan?.by === 'difference' ? 'Updating the data selection' : 'Repairing rows that differ';
  return makeState(
    'repairing',
    'busy',
    {
      headline: `${work}${rows === null ? '…' : `: ${rows}`}`,
      detail: dots(tableOf(progress, reading), timeLeft(progress, reading), OTHERS_READ),
      short: rows === null ? 'Repairing' : `Repairing ${format.percent(progress.done, progress.total)}`,
    },
    { primary: cancel },
    progress.startedAt,
  );
}

/** Head office changed the set of scopes of this PC. The next sync downloads the rows that differ. */
export function scopesChanged(reading: Reading): State | null {
  const { plan, format, facts, syncing } = reading;
  const fault = faultFor(reading, 'scopes-changed');
  if (syncing || (facts.replica.cursor === null && fault === null)) return null;
  const copy = plan?.by === 'snapshot' && plan.reason === 'scopes_changed' ? plan : null;
  const download = copy ?? (plan?.by === 'difference' ? plan : null);
  if (download === null && fault === null) return null;
  const size =
    download === null
      ? 'The next sync downloads the rows that differ'
      : `About ${format.bytes(download.bytes)} to download: ${copy ? 'a fresh copy of ' : ''}${format.counted(download.rows, 'row')} in ${format.counted(download.tables, 'table')}`;
  return makeState(
    'scopes-changed',
    'info',
    {
      headline: 'The data selection of this PC changed',
      detail: sentences(size, READABLE),
      short: `Data selection changed${download === null ? '' : `: about ${format.bytes(download.bytes)} to download`}`,
    },
    { primary: action('sync-now'), secondary: [action('check', 'Check again')] },
    fault === null ? null : (facts.lastRun?.endedAt ?? null),
  );
}

/** Another program wrote to the replica. The next run repairs it. */
export function altered(reading: Reading): State | null {
  const fault = faultFor(reading, 'altered');
  if (reading.syncing || fault === null) return null;
  const { table, detail } = fault.params;
  const cause = [table ? `Table ${table}` : null, detail ? String(detail) : null].filter((part) => part !== null);
  return makeState(
    'altered',
    'info',
    {
      headline: 'Another program changed data on this PC',
      detail: sentences(cause.join(': '), 'The next sync repairs it', 'Other programs should only read', READABLE),
      short: 'Repair is due',
    },
    { primary: action('sync-now', 'Repair now'), secondary: [action('copy-details')] },
    reading.facts.lastRun?.endedAt ?? null,
  );
}

/** A comparison without repair found differences. */
export function differs(reading: Reading): State | null {
  const fault = faultFor(reading, 'differs');
  if (reading.syncing || fault === null) return null;
  return makeState(
    'differs',
    'warn',
    {
      headline: sentences(fill(ERRORS.replica_differs.means, fault.params)),
      detail: 'Nothing was changed. Verify downloads only those rows',
      short: 'Data differs from sync server',
    },
    { primary: action('verify'), secondary: [action('copy-details')] },
    reading.facts.lastRun?.endedAt ?? null,
  );
}
