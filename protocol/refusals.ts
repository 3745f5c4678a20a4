import type { Role } from './api.ts';
import type { ErrorCode } from './errors.ts';

/**
 * The error codes that cross from a relay to its callers (rules S14 and V4 of docs/protocol.md).
 *
 * A relay sends a caller only codes that are true for that caller. Some codes speak of the machine that shows them, such
 * as `config_invalid`, `disk_full` or `db_damaged`. Others decide how a command ends, such as `usage` or `cancelled`. A
 * relay never sends these to a terminal, and a terminal that receives one from something at the relay's address reads
 * the answer by its HTTP status alone. Every other failure of a relay reaches its callers as `relay_failed`; the relay's
 * log holds the code and the detail.
 */

/** Codes that any request can receive, whatever its path and its key. */
const COMMON = [
  'request_invalid',
  'not_found',
  'token_invalid',
  'role_denied',
  'feed_denied',
  'feed_unknown',
  'protocol_unsupported',
  'body_too_large',
  'relay_busy',
  'relay_failed',
] as const satisfies ErrorCode[];

/** The codes that a relay may send, by the role that the request needs. */
export const REFUSALS: Readonly<Record<Role, ReadonlySet<ErrorCode>>> = {
  terminal: new Set<ErrorCode>([
    ...COMMON,
    'scope_denied',
    'feed_empty',
    'epoch_changed',
    'cursor_ahead',
    'behind_horizon',
    'target_invalid',
    'squash_building',
    'squash_larger',
    'snapshot_building',
    'snapshot_gone',
  ]),
  feed: new Set<ErrorCode>([
    ...COMMON,
    'filter_invalid',
    'session_superseded',
    'session_unknown',
    'batch_out_of_order',
    'batch_corrupt',
    'batch_invalid',
    // The operator of the feed watches the same installation as the operator of the relay, so the cause helps.
    'disk_full',
  ]),
  admin: new Set<ErrorCode>(COMMON),
};

/** Whether a relay may answer a caller of this role with this code. */
export const mayRefuse = (to: Role, code: ErrorCode): boolean => REFUSALS[to].has(code);
