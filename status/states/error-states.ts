import type { ErrorCode } from '@tidemark/protocol/errors';
import type { Fault } from '@tidemark/protocol/fault';
import type { Reading } from '../reading.ts';
import type { StatusCode } from '../status.ts';

/** The state to which each error leads. An error that is not listed leads to `failed`. */
const STATE_OF_ERROR: Partial<Record<ErrorCode, StatusCode>> = {
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

/** Returns the state to which an error leads. */
const stateOf = (fault: Fault): StatusCode => STATE_OF_ERROR[fault.code] ?? 'failed';

/** Whether an error has its own state, rather than the common `failed`. */
export const hasOwnState = (fault: Fault): boolean => STATE_OF_ERROR[fault.code] !== undefined;

/**
 * Returns the fault that leads to a state: the local database's, otherwise the last run's. Null when neither leads to
 * it.
 */
export function faultFor(reading: Reading, code: StatusCode): Fault | null {
  const local = reading.facts.replica.fault;
  if (local !== null && stateOf(local) === code) return local;
  return reading.fault !== null && stateOf(reading.fault) === code ? reading.fault : null;
}

/** Returns when a fault of the last run began. Null for a fault of the local database, whose start is unknown. */
export const sinceRun = ({ facts }: Reading): number | null =>
  facts.replica.fault === null ? (facts.lastRun?.endedAt ?? null) : null;
