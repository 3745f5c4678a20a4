import type { ErrorCode } from '@tidemark/protocol/errors';
import { makeState, type Reading, type State } from '../reading.ts';
import { faultFor, sinceRun } from './error-states.ts';
import { action, atStart, retrying, sentences } from './wording.ts';

/** States in which the relay does not answer, or asks this PC to wait. */

const copyDetails = action('copy-details');
const testConnection = action('settings', 'Test connection');
const retryNow = action('retry', 'Retry now');
const SAFE = 'Local data is safe';

/** Describes how old this PC's data is. */
function dataHere({ dataAsOf, format, now }: Reading): string {
  return dataAsOf === null ? 'No data here yet' : `Showing data as of ${format.moment(dataAsOf, now)}`;
}

/** The operating system reports no network. */
export function offline(reading: Reading): State | null {
  const { facts, format, now, dataAsOf } = reading;
  if (facts.online !== false) return null;
  return makeState(
    'offline',
    'warn',
    {
      headline: 'This PC is offline',
      detail: sentences('No network connection', dataHere(reading), 'Will retry when the network is back'),
      short: dataAsOf === null ? 'Offline' : `Offline – data as of ${format.moment(dataAsOf, now)}`,
    },
    { primary: retryNow },
  );
}

/** The relay does not answer. */
export function unreachable(reading: Reading): State | null {
  const fault = faultFor(reading, 'unreachable');
  // A retry is due although no fault is known. In this case the relay did not answer either.
  if (!fault && (reading.facts.retry === null || reading.fault !== null || reading.facts.replica.fault !== null))
    return null;
  const { answeredAt, format, now, names } = reading;
  const address = fault?.params.relay ? String(fault.params.relay) : names.relay;
  const reason = fault?.params.detail ? ` (${fault.params.detail})` : fault?.code === 'relay_timeout' ? ' in time' : '';
  return makeState(
    'unreachable',
    'warn',
    {
      headline: `Cannot reach ${names.relay}`,
      detail: sentences(
        `${fault?.params.relay ? address : atStart(address)} did not answer${reason}`,
        answeredAt === null ? null : `It last answered ${format.at(answeredAt, now)}`,
        dataHere(reading),
        SAFE,
        retrying(reading),
      ),
      short: 'Sync server not reachable',
    },
    { primary: retryNow, secondary: [testConnection] },
    sinceRun(reading),
  );
}

/** Something other than a relay answers at its address. */
export function proxy(reading: Reading): State | null {
  const fault = faultFor(reading, 'proxy');
  if (!fault) return null;
  const expected = fault.params.relay ? `the sync server at ${fault.params.relay}` : 'the sync server';
  return makeState(
    'proxy',
    'error',
    {
      headline: `The network blocks ${reading.names.relay}`,
      detail: sentences(
        `Something else answered instead of ${expected}, such as a proxy or a sign-in page`,
        SAFE,
        retrying(reading),
      ),
      short: 'Blocked by network',
    },
    { primary: retryNow, secondary: [testConnection, copyDetails] },
    sinceRun(reading),
  );
}

/** Reasons to wait that have their own words. For any other reason the text says that the relay is busy. */
const WAITS: Partial<Record<ErrorCode, { does: string; cause: string; short: string }>> = {
  snapshot_building: {
    does: 'is preparing the fresh copy',
    cause: 'The sync continues automatically',
    short: 'Preparing the fresh copy',
  },
  squash_building: {
    does: 'is preparing the changes',
    cause: 'The sync continues automatically',
    short: 'Preparing the changes',
  },
  feed_empty: {
    does: 'has no data yet',
    cause: 'Head office has not sent its first copy',
    short: 'Sync server has no data yet',
  },
};

/** The relay answers, but asks this PC to wait. */
export function busy(reading: Reading): State | null {
  const fault = faultFor(reading, 'busy');
  if (!fault) return null;
  const relay = atStart(reading.names.relay);
  const nextAt = reading.facts.retry?.nextAt ?? null;
  const until = nextAt === null ? '' : ` until ${reading.format.clock(nextAt)}`;
  const wait = WAITS[fault.code];
  return makeState(
    'busy',
    'info',
    {
      headline: `${relay} ${wait?.does ?? 'is busy'}`,
      detail: wait
        ? sentences(wait.cause, retrying(reading), SAFE)
        : sentences(`It asked this PC to wait${until}`, SAFE),
      short: wait?.short ?? 'Sync server busy',
    },
    { primary: retryNow, secondary: [copyDetails] },
    sinceRun(reading),
  );
}
