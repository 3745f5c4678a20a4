import type { Role } from '@tidemark/protocol/api';
import { asTidemarkError, ERRORS, type ErrorParams, TidemarkError } from '@tidemark/protocol/errors';
import { mayRefuse } from '@tidemark/protocol/refusals';

/**
 * Turns whatever a handler threw into the error that the caller receives.
 *
 * Order: name the mistake of the caller (a malformed address, a body that broke off), then replace every code that the
 * caller's role may not receive by `relay_failed` (rule S14). The relay's own fault therefore never reads as a fault of
 * the caller. No param leaves the relay longer than {@link LONGEST_PARAM}.
 */

/** Longest text of a param in an answer, in characters. */
const LONGEST_PARAM = 1_000;

/** A refusal as sent. */
export interface Refusal {
  error: TidemarkError;
  /** HTTP status of the answer. */
  status: number;
}

/** Returns the error behind a thrown value. Only a bug of the relay becomes `internal`. */
export function thrownError(thrown: unknown): TidemarkError {
  const { code, status } = thrown as { code?: unknown; status?: unknown };
  // Express rejects an address that is not valid percent-encoding with this status.
  if (thrown instanceof URIError || (thrown instanceof Error && status === 400))
    return new TidemarkError(
      'request_invalid',
      { detail: 'the address is not valid percent-encoding of UTF-8' },
      thrown,
    );
  // The body ended early, or its chunks are not valid.
  if (typeof code === 'string' && /^(ECONNRESET|EPIPE|ERR_STREAM_PREMATURE_CLOSE|HPE_\w+)$/.test(code))
    return new TidemarkError('request_invalid', { detail: 'the body is incomplete' }, thrown);
  return asTidemarkError(thrown);
}

/** Returns the refusal for a caller of a role. */
export function refusalFor(to: Role, error: TidemarkError): Refusal {
  const { status } = ERRORS[error.code];
  if (mayRefuse(to, error.code)) return { error: withBoundedParams(error, LONGEST_PARAM), status };
  const failed = Math.max(status, 500);
  return { error: new TidemarkError('relay_failed', { status: failed }, error), status: failed };
}

/** Returns the error with its texts cut to `longest` characters. */
export function withBoundedParams(error: TidemarkError, longest: number): TidemarkError {
  const params: ErrorParams = Object.fromEntries(
    Object.entries(error.params).map(([name, value]) => [
      name,
      typeof value === 'string' && value.length > longest ? `${value.slice(0, longest)}…` : value,
    ]),
  );
  return new TidemarkError(error.code, params, error);
}
