import { ERRORS } from '@tidemark/protocol/errors';
import { makeState, type Reading, type State } from '../reading.ts';
import { faultFor, hasOwnState, sinceRun } from './error-states.ts';
import { action, afterColon, firstSentence, meaningOf, retrying, sentences } from './wording.ts';

/** States in which the local database or its disk cannot be used. */

const copyDetails = action('copy-details');

export function databaseDamaged(reading: Reading): State | null {
  const fault = faultFor(reading, 'db-damaged');
  if (!fault) return null;
  return makeState(
    'db-damaged',
    'error',
    {
      headline: 'The local database is damaged',
      detail: sentences(firstSentence(meaningOf(fault)), 'Head office still has all of its data'),
      short: 'Needs attention',
    },
    { primary: action('recopy'), secondary: [copyDetails] },
    sinceRun(reading),
  );
}

/**
 * The local database cannot be opened for a reason without its own state: the file is read-only, a folder, or another
 * data set's.
 */
export function databaseUnusable(reading: Reading): State | null {
  const fault = reading.facts.replica.fault;
  if (fault === null || hasOwnState(fault)) return null;
  return makeState(
    'failed',
    'error',
    {
      headline: `Sync stopped: ${afterColon(firstSentence(meaningOf(fault)))}`,
      detail: sentences('Nothing was changed', ERRORS[fault.code].todo, retrying(reading)),
      short: 'Needs attention',
    },
    { primary: action('retry'), secondary: [copyDetails] },
  );
}

export function diskFull(reading: Reading): State | null {
  const fault = faultFor(reading, 'disk-full');
  if (!fault) return null;
  return makeState(
    'disk-full',
    'error',
    {
      headline: 'Not enough disk space',
      detail: sentences(
        fault.params.detail ? String(fault.params.detail) : null,
        'Free some disk space, then try again',
        'Nothing was lost',
      ),
      short: 'Disk full',
    },
    { primary: action('retry'), secondary: [copyDetails] },
    sinceRun(reading),
  );
}

export function databaseLocked(reading: Reading): State | null {
  const fault = faultFor(reading, 'db-locked');
  if (!fault) return null;
  const { file } = fault.params;
  return makeState(
    'db-locked',
    'warn',
    {
      headline: 'The local database is in use',
      detail: sentences(
        `Another program keeps ${file ? String(file) : 'it'} in use`,
        'Close that program, then try again',
        'Nothing was lost',
        retrying(reading),
      ),
      short: 'Database in use',
    },
    { primary: action('retry', 'Retry'), secondary: [copyDetails] },
    sinceRun(reading),
  );
}

/** Another program's read transaction keeps the write-ahead log from being emptied, or may do so. */
export function logLarge({ facts, format, now }: Reading): State | null {
  const { log } = facts.replica;
  if (log === null) return null;
  const { file, bytes, heldSince } = log;
  return makeState(
    'log-large',
    'warn',
    {
      headline: `The file ${file} has grown to ${format.bytes(bytes)}`,
      detail:
        heldSince === null
          ? sentences(
              'The next sync empties it, unless another program keeps a read transaction open',
              'In that case close that program, or let it end its transaction',
            )
          : sentences(
              `Another program has kept a read transaction open since ${format.moment(heldSince, now)} or earlier`,
              'Close that program, or let it end its transaction',
              'Nothing was lost',
            ),
      short: 'Database log is large',
    },
    {},
    heldSince,
  );
}
