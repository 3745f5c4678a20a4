import type { Progress } from '../facts.ts';
import { makeState, type Reading, type State } from '../reading.ts';
import { action, atStart, dots, progressOf, tableOf, timeLeft } from './wording.ts';

/** States of a run under way, other than a comparison: see comparison.ts. */

const cancel = action('cancel');

/** A person cancelled the run; the engine is finishing what it must not interrupt. */
export function cancelling({ facts: { phase } }: Reading): State | null {
  if (phase.kind !== 'cancelling') return null;
  return makeState(
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

/** Whether a comparison waits for the relay. Until it has read all rows of this PC, it also works locally. */
const waitsForRelay = ({ stage, done, total }: Progress) =>
  stage === 'downloading' || stage === 'preparing' || (stage === 'comparing' && done >= total);

/** The run waits for data and has received none for longer than the stall limit. */
export function stalled({ progress, now, format, facts, names }: Reading): State | null {
  if (progress === null || !waitsForRelay(progress)) return null;
  const { lastDataAt, deadlineAt } = progress;
  const silence = now - lastDataAt;
  if (silence <= facts.thresholds.stallMs) return null;
  return makeState(
    'syncing-slow',
    'warn',
    {
      headline: `Still waiting for ${names.relay}`,
      detail: `No data for ${format.span(silence)}${deadlineAt === null ? '' : `. This attempt ends at ${format.clock(deadlineAt)}`}`,
      short: 'Waiting for sync server',
    },
    { primary: cancel, secondary: [action('copy-details')] },
    lastDataAt,
  );
}

/** All data has arrived, and the engine is saving the cursor. */
export function finishing({ progress, facts: { replica }, format }: Reading): State | null {
  if (progress?.stage !== 'finishing') return null;
  const position = progress.target ?? replica.cursor?.seq ?? null;
  return makeState(
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

/** The engine is receiving the first copy of the data. */
export function firstSync(reading: Reading): State | null {
  const { phase } = reading.facts;
  const { progress, format, names } = reading;
  if (phase.kind !== 'syncing' || !phase.first || progress === null) return null;
  const done = progressOf(progress, reading);
  const preparing = progress.stage === 'preparing' ? `${atStart(names.relay)} is preparing the fresh copy` : null;
  const rate = progress.rate === null ? null : `${format.count(progress.rate)} ${progress.unit}/s`;
  const table = progress.table === null ? null : tableOf(progress, reading);
  return makeState(
    'first-sync',
    'busy',
    {
      headline: done === null ? 'First sync: preparing the fresh copy' : `First sync: ${done}`,
      detail: `${dots(preparing, table, rate, timeLeft(progress, reading)) || 'Getting ready'}. You can keep working`,
      short: done === null ? 'First sync' : `First sync ${format.percent(progress.done, progress.total)}`,
    },
    { primary: cancel, secondary: [action('pause')] },
    progress.startedAt,
  );
}

/** The engine is receiving changes, or a fresh copy that is not the first. */
export function syncing(reading: Reading): State | null {
  const { progress, format, names } = reading;
  if (progress === null) return null;
  const done = progressOf(progress, reading);
  const bytes =
    progress.bytesTotal > 0
      ? `${format.bytes(Math.min(progress.bytes, progress.bytesTotal))} of ${format.bytes(progress.bytesTotal)}`
      : null;
  const table =
    progress.table === null
      ? null
      : `${progress.stage === 'downloading' ? 'downloading' : 'applying to'} ${progress.table}`;
  const preparing = progress.stage === 'preparing' ? `Asking ${names.relay} for changes` : null;
  return makeState(
    'syncing',
    'busy',
    {
      headline: done === null ? 'Syncing…' : `Syncing: ${done}`,
      detail: dots(preparing, bytes, timeLeft(progress, reading), table) || `Receiving changes from ${names.relay}`,
      short: done === null ? 'Syncing' : `Syncing ${format.percent(progress.done, progress.total)}`,
    },
    { primary: cancel, secondary: [action('pause')] },
    progress.startedAt,
  );
}

/** The engine asks the relay for its status and downloads nothing. */
export function checking({ facts: { phase }, names }: Reading): State | null {
  if (phase.kind !== 'checking') return null;
  return makeState(
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
