import { ERRORS, fill } from '@tidemark/protocol/errors';
import type { Progress } from './facts.ts';
import { action, dots, type Found, found, type Reading } from './reading.ts';
import { faultFor } from './rules-fault.ts';

/** States of comparing this PC's data with the relay's, and of data that is to be brought in line. */

const cancel = action('cancel');
const STAYS = 'The data here stays readable meanwhile';

/** `12 of 40 rows`; null while the total is not known. */
const rowsOf = ({ done, total, unit }: Progress, { format }: Reading) =>
  total > 0 ? `${format.count(Math.min(done, total))} of ${format.counted(total, unit.slice(0, -1))}` : null;

function tableOf({ table, tableIndex, tableCount }: Progress, { format }: Reading): string | null {
  if (tableCount === 0) return table;
  if (table === null) return format.counted(tableCount, 'table');
  return `${table} (${format.count(Math.max(1, tableIndex))} of ${format.counted(tableCount, 'table')})`;
}

const eta = ({ etaS }: Progress, { format }: Reading) => (etaS === null ? null : `${format.left(etaS * 1000)} left`);

export function comparing(reading: Reading): Found | null {
  const { progress, format } = reading;
  if (progress?.stage !== 'comparing') return null;
  const rows = rowsOf(progress, reading);
  return found(
    'comparing',
    'busy',
    {
      headline: rows === null ? 'Comparing with the relay…' : `Comparing with the relay: ${rows}`,
      detail: dots(
        tableOf(progress, reading),
        rows !== null && progress.done >= progress.total ? "waiting for the relay's checksums" : eta(progress, reading),
        'Other programs can go on reading',
      ),
      short: rows === null ? 'Comparing' : `Comparing ${format.percent(progress.done, progress.total)}`,
    },
    { primary: cancel },
    progress.startedAt,
  );
}

/** The rows that differ are fetched: found by a comparison, or of a share that was changed. */
export function repairing(reading: Reading): Found | null {
  const { progress, format, plan } = reading;
  if (progress?.stage !== 'repairing') return null;
  const rows = rowsOf(progress, reading);
  const doing = plan?.by === 'difference' ? 'Fetching what differs' : 'Repairing what differs';
  return found(
    'repairing',
    'busy',
    {
      headline: rows === null ? `${doing}…` : `${doing}: ${rows}`,
      detail: dots(tableOf(progress, reading), eta(progress, reading), 'Other programs can go on reading'),
      short: rows === null ? 'Repairing' : `Repairing ${format.percent(progress.done, progress.total)}`,
    },
    { primary: cancel },
    progress.startedAt,
  );
}

/** This PC is to hold other rows than before. The next sync brings them by itself. */
export function scopesChanged(reading: Reading): Found | null {
  const { plan, format, facts, syncing } = reading;
  const fault = faultFor(reading, 'scopes-changed');
  if (syncing || (facts.replica.cursor === null && fault === null)) return null;
  const copy = plan?.by === 'snapshot' && plan.reason === 'scopes_changed' ? plan : null;
  const difference = plan?.by === 'difference' ? plan : null;
  const due = copy ?? difference;
  if (due === null && fault === null) return null;
  const much =
    due === null
      ? 'What differs is fetched with the next sync'
      : `About ${format.bytes(due.bytes)} to fetch: ${copy ? 'a fresh copy of ' : ''}${format.counted(due.rows, 'row')} in ${format.counted(due.tables, 'table')}`;
  return found(
    'scopes-changed',
    'info',
    {
      headline: "This PC's share of the data was changed",
      detail: `${much}. ${STAYS}`,
      short: due === null ? 'Share changed' : `Share changed: about ${format.bytes(due.bytes)} to fetch`,
    },
    { primary: action('sync-now'), secondary: [action('check', 'Check again')] },
    fault === null ? null : (facts.lastRun?.endedAt ?? null),
  );
}

/** Another program wrote into the replica. The agent sets it right without being asked. */
export function altered(reading: Reading): Found | null {
  const fault = faultFor(reading, 'altered');
  if (reading.syncing || fault === null) return null;
  const { table, detail } = fault.params;
  const what = [table ? `Table ${table}` : null, detail ? String(detail) : null].filter((part) => part !== null);
  return found(
    'altered',
    'info',
    {
      headline: 'Another program changed data here',
      detail: `${what.length > 0 ? `${what.join(': ').replace(/\.$/, '')}. ` : ''}It is repaired by itself; other programs should only read. ${STAYS}`,
      short: 'Repair is due',
    },
    { primary: action('sync-now', 'Repair now'), secondary: [action('copy-details')] },
    reading.facts.lastRun?.endedAt ?? null,
  );
}

/** A comparison that was told to repair nothing found differences. */
export function differs(reading: Reading): Found | null {
  const fault = faultFor(reading, 'differs');
  if (reading.syncing || fault === null) return null;
  return found(
    'differs',
    'warn',
    {
      headline: fill(ERRORS.replica_differs.means, fault.params).replace(/\.$/, ''),
      detail: 'Nothing was changed. Verify fetches just those rows',
      short: 'Data differs from the relay',
    },
    { primary: action('verify'), secondary: [action('copy-details')] },
    reading.facts.lastRun?.endedAt ?? null,
  );
}
