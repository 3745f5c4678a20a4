import { ERRORS, type ErrorCode, fill } from '@tidemark/protocol/errors';
import type { Fault } from '@tidemark/protocol/fault';
import { PROTOCOL_VERSION } from '@tidemark/protocol/page';
import type { Run } from '@tidemark/protocol/run';
import { action, type Found, found, type Reading } from './reading.ts';
import type { StatusCode } from './status.ts';

/** Which state an error leads to; those not named here are `failed`. */
const STATE_OF: Partial<Record<ErrorCode, StatusCode>> = {
  disk_full: 'disk-full',
  db_in_use: 'db-locked',
  db_damaged: 'db-damaged',
  db_newer_version: 'upgrade',
  protocol_unsupported: 'upgrade',
  node_too_old: 'upgrade',
  token_invalid: 'signed-out',
  role_denied: 'forbidden',
  feed_denied: 'forbidden',
  scope_denied: 'forbidden',
  relay_cert: 'cert',
  behind_horizon: 'resync',
  epoch_changed: 'rewound',
  cursor_ahead: 'rewound',
  relay_unreachable: 'unreachable',
  relay_timeout: 'unreachable',
  relay_not_tidemark: 'proxy',
  relay_busy: 'busy',
  snapshot_building: 'busy',
  squash_building: 'busy',
  feed_empty: 'busy',
  not_configured: 'setup',
  scopes_changed: 'scopes-changed',
  replica_altered: 'altered',
  replica_differs: 'differs',
};

const means = (fault: Fault) => fill(ERRORS[fault.code].means, fault.params);
const bare = (sentence: string) => sentence.trim().replace(/\.$/, '');
/** `The relay is busy.` as the end of a sentence: `the relay is busy`. */
const inSentence = (sentence: string) => bare(sentence).replace(/^[A-Z](?=[a-z ])/, (letter) => letter.toLowerCase());
/** First sentence of an error; a full stop within a name or number does not end it. */
const firstSentence = (text: string) => text.split(/(?<=\.)\s+(?=[A-Z])/)[0] ?? text;
const copyDetails = action('copy-details');

/** The fault that leads to a state: of the local database first, else of the last run. */
export function faultFor(reading: Reading, code: StatusCode): Fault | null {
  const stateOf = (fault: Fault) => STATE_OF[fault.code] ?? 'failed';
  const local = reading.facts.replica.fault;
  if (local !== null && stateOf(local) === code) return local;
  return reading.fault !== null && stateOf(reading.fault) === code ? reading.fault : null;
}

const since = ({ facts }: Reading) => (facts.replica.fault === null && facts.lastRun ? facts.lastRun.endedAt : null);

/** `Retrying in 0:25 (attempt 3)`. */
function retrying({ facts: { retry }, format, now }: Reading): string | null {
  if (retry === null) return null;
  const left = retry.nextAt - now;
  return left > 0
    ? `Retrying in ${format.countdown(left)} (attempt ${retry.attempt})`
    : `Retrying now (attempt ${retry.attempt})`;
}

const sentences = (...parts: (string | null)[]) =>
  parts
    .filter((part) => part !== null && part !== '')
    .map((part) => bare(part ?? ''))
    .join('. ');

export function databaseDamaged(reading: Reading): Found | null {
  const fault = faultFor(reading, 'db-damaged');
  if (!fault) return null;
  return found(
    'db-damaged',
    'error',
    {
      headline: 'The local database is damaged',
      detail: sentences(means(fault), 'Head office still has all of its data'),
      short: 'Needs attention',
    },
    { primary: action('recopy'), secondary: [copyDetails] },
    since(reading),
  );
}

/** The local database can't be used at all, for a reason that has no state of its own: read-only, a folder, another feed's. */
export function databaseUnusable(reading: Reading): Found | null {
  const fault = reading.facts.replica.fault;
  if (fault === null || STATE_OF[fault.code] !== undefined) return null;
  return found(
    'failed',
    'error',
    {
      headline: `Sync stopped: ${inSentence(firstSentence(means(fault)))}`,
      detail: sentences('Nothing was changed', ERRORS[fault.code].todo),
      short: 'Needs attention',
    },
    { primary: action('retry'), secondary: [copyDetails] },
  );
}

export function diskFull(reading: Reading): Found | null {
  const fault = faultFor(reading, 'disk-full');
  if (!fault) return null;
  return found(
    'disk-full',
    'error',
    {
      headline: 'Not enough disk space',
      detail: sentences(
        fault.params.detail ? String(fault.params.detail) : null,
        'Free up space and try again',
        'Nothing was lost',
      ),
      short: 'Disk full',
    },
    { primary: action('retry'), secondary: [copyDetails] },
    since(reading),
  );
}

export function databaseLocked(reading: Reading): Found | null {
  const fault = faultFor(reading, 'db-locked');
  if (!fault) return null;
  const file = fault.params.file;
  return found(
    'db-locked',
    'warn',
    {
      headline: 'The local database is in use',
      detail: sentences(
        `Another program holds ${file ? String(file) : 'it'}`,
        'Close that program and try again',
        'Nothing was lost',
        retrying(reading),
      ),
      short: 'Database in use',
    },
    { primary: action('retry', 'Retry'), secondary: [copyDetails] },
    since(reading),
  );
}

export function upgrade(reading: Reading): Found | null {
  const fault = faultFor(reading, 'upgrade');
  const spoken = reading.facts.probe?.status.protocol ?? PROTOCOL_VERSION;
  if (!fault && spoken === PROTOCOL_VERSION) return null;
  const cause = fault
    ? sentences(means(fault), ERRORS[fault.code].todo)
    : `The relay speaks version ${spoken} of the protocol; this PC speaks ${PROTOCOL_VERSION}. Ask your administrator for the update`;
  return found(
    'upgrade',
    'error',
    {
      headline: 'Update required',
      detail: sentences(cause, 'Local data is safe'),
      short: 'Update required',
    },
    { primary: action('retry', 'Check again'), secondary: [copyDetails] },
    since(reading),
  );
}

export function signedOut(reading: Reading): Found | null {
  if (!faultFor(reading, 'signed-out')) return null;
  return found(
    'signed-out',
    'error',
    {
      headline: 'Sign-in needed',
      detail: "The relay does not accept this PC's key. Local data is safe",
      short: 'Needs attention',
    },
    { primary: action('enter-key'), secondary: [copyDetails] },
    since(reading),
  );
}

export function forbidden(reading: Reading): Found | null {
  const fault = faultFor(reading, 'forbidden');
  if (!fault) return null;
  return found(
    'forbidden',
    'error',
    {
      headline: 'Not allowed',
      detail: sentences(means(fault), 'Ask your administrator', 'Local data is safe'),
      short: 'Needs attention',
    },
    { primary: copyDetails, secondary: [action('settings')] },
    since(reading),
  );
}

export function certificate(reading: Reading): Found | null {
  const fault = faultFor(reading, 'cert');
  if (!fault) return null;
  const detail = fault.params.detail ? `Certificate: ${fault.params.detail}` : 'Its certificate is not trusted';
  return found(
    'cert',
    'error',
    {
      headline: "The relay's identity could not be verified",
      detail: sentences(detail, 'Nothing was sent', 'Local data is safe'),
      short: 'Needs attention',
    },
    { primary: copyDetails, secondary: [action('retry')] },
    since(reading),
  );
}

/** What a fresh copy would bring, as far as known. */
function copySize({ plan, format }: Reading): string {
  if (plan?.by !== 'snapshot') return 'A fresh copy is needed';
  return `A fresh copy is needed: ${format.counted(plan.tables, 'table')}, about ${format.bytes(plan.bytes)}`;
}

export function resync(reading: Reading): Found | null {
  const planned = reading.plan?.by === 'snapshot' && reading.plan.reason === 'behind_horizon';
  if (reading.syncing || (!planned && !faultFor(reading, 'resync'))) return null;
  return found(
    'resync',
    'error',
    {
      headline: 'This PC was away too long',
      detail: sentences(
        'The changes it lacks are no longer kept',
        copySize(reading),
        'The data here stays until the copy is complete',
      ),
      short: 'Fresh copy needed',
    },
    { primary: action('recopy'), secondary: [action('check', 'Check again')] },
    since(reading),
  );
}

export function rewound(reading: Reading): Found | null {
  const { facts, plan, format } = reading;
  const { cursor } = facts.replica;
  const head = facts.probe?.status.head ?? null;
  const fault = faultFor(reading, 'rewound');
  const planned = plan?.by === 'snapshot' ? plan.reason : null;
  const ahead = planned === 'cursor_ahead' || fault?.code === 'cursor_ahead';
  if (reading.syncing || (!ahead && planned !== 'epoch_changed' && fault === null)) return null;
  const cause =
    ahead && cursor && head
      ? `Our position ${format.count(cursor.seq)} is ahead of the relay (${format.count(head.seq)}). It was probably restored from a backup`
      : 'Its numbering began anew, so this PC cannot go on from where it was';
  return found(
    'rewound',
    'error',
    {
      headline: "The relay's history restarted",
      detail: ahead
        ? sentences(cause, 'Verify fetches just the rows that differ', 'The data here stays readable meanwhile')
        : sentences(cause, copySize(reading), 'The data here stays until the copy is complete'),
      short: 'Needs attention',
    },
    ahead
      ? { primary: action('verify'), secondary: [action('recopy'), copyDetails] }
      : { primary: action('recopy'), secondary: [copyDetails] },
    since(reading),
  );
}

/** How old the data here is. */
function dataAsOf({ facts: { replica }, format, now }: Reading): string {
  const asOf = replica.committedAt;
  return asOf === null ? 'No data here yet' : `Showing data as of ${format.moment(asOf, now)}`;
}

export function offline(reading: Reading): Found | null {
  const { facts, format, now } = reading;
  if (facts.online !== false) return null;
  const asOf = facts.replica.committedAt;
  return found(
    'offline',
    'warn',
    {
      headline: 'This PC is offline',
      detail: `No network connection. ${dataAsOf(reading)}. Will retry when the network is back`,
      short: asOf === null ? 'Offline' : `Offline – data as of ${format.moment(asOf, now)}`,
    },
    { primary: action('retry', 'Retry now') },
  );
}

export function unreachable(reading: Reading): Found | null {
  const fault = faultFor(reading, 'unreachable');
  // A retry with no fault to name is still a relay that did not answer.
  if (!fault && (reading.facts.retry === null || reading.fault !== null || reading.facts.replica.fault !== null))
    return null;
  const address = fault?.params.relay ? String(fault.params.relay) : reading.names.relay;
  const how = fault?.params.detail ? ` (${fault.params.detail})` : fault?.code === 'relay_timeout' ? ' in time' : '';
  const { answeredAt, format, now } = reading;
  const last = answeredAt === null ? null : `It last answered ${format.at(answeredAt, now)}`;
  return found(
    'unreachable',
    'warn',
    {
      headline: 'Cannot reach the relay',
      detail: sentences(
        `${address} did not answer${how}`,
        last,
        dataAsOf(reading),
        'Local data is safe',
        retrying(reading),
      ),
      short: 'Relay not reachable',
    },
    {
      primary: action('retry', 'Retry now'),
      secondary: [action('settings', 'Test connection')],
    },
    since(reading),
  );
}

export function proxy(reading: Reading): Found | null {
  const fault = faultFor(reading, 'proxy');
  if (!fault) return null;
  const address = fault.params.relay ? `the relay at ${fault.params.relay}` : 'the relay';
  return found(
    'proxy',
    'error',
    {
      headline: 'The network blocks the relay',
      detail: sentences(
        `Something else answered instead of ${address}, such as a proxy or a sign-in page`,
        'Local data is safe',
        retrying(reading),
      ),
      short: 'Blocked by network',
    },
    {
      primary: action('retry', 'Retry now'),
      secondary: [action('settings', 'Test connection'), copyDetails],
    },
    since(reading),
  );
}

const BUSY: Partial<Record<ErrorCode, { headline: string; cause: string; short: string }>> = {
  snapshot_building: {
    headline: 'The relay is preparing the copy',
    cause: 'This goes on by itself',
    short: 'Relay is preparing the copy',
  },
  squash_building: {
    headline: 'The relay is preparing the changes',
    cause: 'This goes on by itself',
    short: 'Relay is preparing the changes',
  },
  feed_empty: {
    headline: 'The relay has no data yet',
    cause: 'Head office has not sent its first copy',
    short: 'Relay has no data yet',
  },
};

export function busy(reading: Reading): Found | null {
  const fault = faultFor(reading, 'busy');
  if (!fault) return null;
  const nextAt = reading.facts.retry?.nextAt ?? null;
  const wait = nextAt === null ? 'It asked us to wait' : `It asked us to wait until ${reading.format.clock(nextAt)}`;
  const own = BUSY[fault.code];
  return found(
    'busy',
    'info',
    {
      headline: own?.headline ?? 'The relay is busy',
      detail: sentences(own?.cause ?? wait, own ? retrying(reading) : null, 'Local data is safe'),
      short: own?.short ?? 'Relay busy',
    },
    { primary: action('retry', 'Retry now'), secondary: [copyDetails] },
    since(reading),
  );
}

const RUN_NAMES: Partial<Record<Run['mode'], string>> = { check: 'Check', verify: 'Verify' };

/** What a run that failed kept; null: it was not about to receive anything. */
function savedBy(run: Run, { format }: Reading): string | null {
  const done = run.inserted + run.updated + run.deleted + run.truncated;
  if (run.mode === 'check' || (run.mode === 'verify' && done === 0)) return null;
  return run.left === null || run.mode === 'verify'
    ? `${format.counted(done, 'change')} ${done === 1 ? 'was' : 'were'} saved`
    : `${format.count(done)} of ${format.counted(done + run.left, 'change')} ${done + run.left === 1 ? 'was' : 'were'} saved`;
}

export function failed(reading: Reading): Found | null {
  const fault = faultFor(reading, 'failed');
  const run = reading.facts.lastRun;
  if (!fault || fault === reading.facts.replica.fault || !run) return null;
  const wrongAddress = fault.code === 'not_found' || fault.code === 'feed_unknown';
  return found(
    'failed',
    'error',
    {
      headline: `${RUN_NAMES[run.mode] ?? 'Sync'} stopped: ${inSentence(firstSentence(means(fault)))}`,
      detail: sentences(savedBy(run, reading), 'Nothing was lost', ERRORS[fault.code].todo, retrying(reading)),
      short: `${RUN_NAMES[run.mode] ?? 'Sync'} failed`,
    },
    {
      primary: wrongAddress ? action('settings') : action('retry'),
      secondary: [wrongAddress ? action('retry') : null, copyDetails],
    },
    since(reading),
  );
}
