import { ERRORS } from '@tidemark/protocol/errors';
import type { Run } from '@tidemark/protocol/run';
import { makeState, type Reading, type State } from '../reading.ts';
import { faultFor, sinceRun } from './error-states.ts';
import { action, afterColon, changesSaved, firstSentence, meaningOf, retrying, sentences } from './wording.ts';

/** States after a last run that failed or was cancelled, when no other state describes the result. */

const RUN_NAMES: Partial<Record<Run['mode'], string>> = { check: 'Check', verify: 'Verify' };

const changesIn = ({ inserted, updated, deleted, truncated }: Run) => inserted + updated + deleted + truncated;

/** Describes how many changes a failed run saved. Null for a run that does not save changes. */
function savedBy(run: Run, reading: Reading): string | null {
  const done = changesIn(run);
  if (run.mode === 'check' || (run.mode === 'verify' && done === 0)) return null;
  if (run.left === null || run.mode === 'verify') return changesSaved(done, reading);
  return `${reading.format.count(done)} of ${changesSaved(done + run.left, reading)}`;
}

/** The last run failed with an error that does not have its own state. */
export function failed(reading: Reading): State | null {
  const fault = faultFor(reading, 'failed');
  const run = reading.facts.lastRun;
  if (!fault || fault === reading.facts.replica.fault || !run) return null;
  const name = RUN_NAMES[run.mode] ?? 'Sync';
  const wrongAddress = fault.code === 'not_found' || fault.code === 'feed_unknown';
  return makeState(
    'failed',
    'error',
    {
      headline: `${name} stopped: ${afterColon(firstSentence(meaningOf(fault)))}`,
      detail: sentences(savedBy(run, reading), 'Nothing was lost', ERRORS[fault.code].todo, retrying(reading)),
      short: `${name} failed`,
    },
    {
      primary: wrongAddress ? action('settings') : action('retry'),
      secondary: [wrongAddress ? action('retry') : null, action('copy-details')],
    },
    sinceRun(reading),
  );
}

/** A person cancelled the last run, and the relay has not answered since. */
export function cancelled(reading: Reading): State | null {
  const { facts, waiting, behind, format, answeredAt } = reading;
  const run = facts.lastRun;
  if (run?.outcome !== 'cancelled' || run.mode === 'check') return null;
  // A cancelled comparison changes no data, so the states of the backlog describe the result.
  if (run.mode === 'verify' && facts.replica.cursor !== null) return null;
  const newer = answeredAt !== null && answeredAt > run.endedAt;
  if (newer || (facts.replica.cursor !== null && !behind)) return null;
  // Before the first copy is complete, no change waits for this PC. The number at the end of the run is not used, because
  // every other place shows the present number.
  const left = facts.replica.cursor === null || waiting === 0 ? null : waiting;
  const next =
    left === null
      ? 'The next sync continues from here'
      : `${format.count(left)} still waiting; the next sync continues from here`;
  return makeState(
    'cancelled',
    'info',
    {
      headline: 'Sync cancelled',
      detail: sentences(changesSaved(changesIn(run), reading), next),
      short: left === null ? 'Sync cancelled' : `${format.counted(left, 'change')} waiting`,
    },
    {
      primary: action(facts.replica.cursor === null ? 'first-sync' : 'sync-now', 'Sync now', left ?? undefined),
    },
    run.endedAt,
  );
}
