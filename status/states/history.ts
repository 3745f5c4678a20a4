import { makeState, type Reading, type State } from '../reading.ts';
import { faultFor, sinceRun } from './error-states.ts';
import { action, atStart, sentences } from './wording.ts';

/** States in which the relay can no longer bring this PC up to date from its position. */

const copyDetails = action('copy-details');
const KEPT = 'The data here stays until the copy is complete';

/**
 * Returns a text such as `A fresh copy is needed: 6 tables, about 21 MB`. The size appears only when the relay has
 * announced it.
 */
function copyNeeded({ plan, format }: Reading): string {
  if (plan?.by !== 'snapshot') return 'A fresh copy is needed';
  return `A fresh copy is needed: ${format.counted(plan.tables, 'table')}, about ${format.bytes(plan.bytes)}`;
}

/** This PC is behind the horizon: the relay has dropped changes that it did not receive. */
export function resync(reading: Reading): State | null {
  const planned = reading.plan?.by === 'snapshot' && reading.plan.reason === 'behind_horizon';
  if (reading.syncing || (!planned && !faultFor(reading, 'resync'))) return null;
  return makeState(
    'resync',
    'error',
    {
      headline: 'This PC was away too long',
      detail: sentences(
        `${atStart(reading.names.relay)} no longer keeps all the changes that are waiting`,
        copyNeeded(reading),
        KEPT,
      ),
      short: 'Fresh copy needed',
    },
    { primary: action('recopy'), secondary: [action('check', 'Check again')] },
    sinceRun(reading),
  );
}

/** The relay's history was reset (another epoch), or is shorter than this PC's. */
export function rewound(reading: Reading): State | null {
  const { plan } = reading;
  const fault = faultFor(reading, 'rewound');
  const planned = plan?.by === 'snapshot' ? plan.reason : null;
  const ahead = planned === 'cursor_ahead' || fault?.code === 'cursor_ahead';
  if (reading.syncing || (!ahead && planned !== 'epoch_changed' && fault === null)) return null;
  return ahead ? aheadOfRelay(reading) : otherHistory(reading);
}

function otherHistory(reading: Reading): State {
  return makeState(
    'rewound',
    'error',
    {
      headline: `The history of ${reading.names.relay} was reset`,
      detail: sentences('This PC cannot continue from its position', copyNeeded(reading), KEPT),
      short: 'Needs attention',
    },
    { primary: action('recopy'), secondary: [copyDetails] },
    sinceRun(reading),
  );
}

function aheadOfRelay(reading: Reading): State {
  const { facts, format, names } = reading;
  const { cursor } = facts.replica;
  const head = facts.probe?.status.head ?? null;
  const positions =
    cursor && head
      ? `This PC is at position ${format.count(cursor.seq)}, ${names.relay} at ${format.count(head.seq)}`
      : null;
  return makeState(
    'rewound',
    'error',
    {
      headline: `This PC has newer data than ${names.relay}`,
      detail: sentences(
        positions,
        `${atStart(names.relay)} was probably restored from a backup`,
        'Verify downloads only the rows that differ',
        'The data here stays readable during the download',
      ),
      short: 'Needs attention',
    },
    { primary: action('verify'), secondary: [action('recopy'), copyDetails] },
    sinceRun(reading),
  );
}
