import { ERRORS } from '@tidemark/protocol/errors';
import { PROTOCOL_VERSION } from '@tidemark/protocol/page';
import { makeState, type Reading, type State } from '../reading.ts';
import { faultFor, sinceRun } from './error-states.ts';
import { action, atStart, meaningOf, sentences } from './wording.ts';

/** States in which the relay answers but denies access to this PC: version, key, rights, certificate. */

const copyDetails = action('copy-details');
const SAFE = 'Local data is safe';

/** The relay or the database requires a newer version of this program. */
export function upgrade(reading: Reading): State | null {
  const fault = faultFor(reading, 'upgrade');
  const relayVersion = reading.facts.probe?.status.protocol ?? PROTOCOL_VERSION;
  if (!fault && relayVersion === PROTOCOL_VERSION) return null;
  const cause = fault
    ? sentences(meaningOf(fault), ERRORS[fault.code].todo)
    : `${atStart(reading.names.relay)} uses version ${relayVersion} of the protocol, this PC version ${PROTOCOL_VERSION}. Ask your administrator for an update`;
  return makeState(
    'upgrade',
    'error',
    {
      headline: 'Update required',
      detail: sentences(cause, SAFE),
      short: 'Update required',
    },
    { primary: action('retry', 'Check again'), secondary: [copyDetails] },
    sinceRun(reading),
  );
}

/** The relay refuses the key. */
export function signedOut(reading: Reading): State | null {
  if (!faultFor(reading, 'signed-out')) return null;
  return makeState(
    'signed-out',
    'error',
    {
      headline: 'Sign-in needed',
      detail: sentences(
        `${atStart(reading.names.relay)} does not accept this PC's key`,
        'Ask your administrator for a new key',
        SAFE,
      ),
      short: 'Needs attention',
    },
    { primary: action('enter-key'), secondary: [copyDetails] },
    sinceRun(reading),
  );
}

/** The relay accepts the key, but the key does not give access to this data. */
export function forbidden(reading: Reading): State | null {
  const fault = faultFor(reading, 'forbidden');
  if (!fault) return null;
  const cause = fault.code === 'role_denied' ? 'This key does not belong to a branch PC' : meaningOf(fault);
  return makeState(
    'forbidden',
    'error',
    {
      headline: 'Not allowed',
      detail: sentences(cause, 'Ask your administrator', SAFE),
      short: 'Needs attention',
    },
    { primary: copyDetails, secondary: [action('settings')] },
    sinceRun(reading),
  );
}

/** The relay's certificate could not be verified. */
export function certificate(reading: Reading): State | null {
  const fault = faultFor(reading, 'cert');
  if (!fault) return null;
  const cause = fault.params.detail ? `Certificate: ${fault.params.detail}` : 'Its certificate is not trusted';
  return makeState(
    'cert',
    'error',
    {
      headline: `The identity of ${reading.names.relay} could not be verified`,
      detail: sentences(cause, 'Nothing was sent', SAFE),
      short: 'Needs attention',
    },
    { primary: copyDetails, secondary: [action('retry')] },
    sinceRun(reading),
  );
}
