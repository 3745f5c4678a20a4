import { type ErrorCode, type ErrorParams, Problem, TidemarkError } from '@tidemark/protocol/errors';
import { parseRetryAfter } from '@tidemark/protocol/retry-wait';
import type { Failure } from '../machine/event.ts';

/**
 * Errors of failed requests. An answer may come from the relay, or from something on the way: a proxy, a sign-in page, a
 * load balancer.
 */

/** A request to a relay that failed. */
export class RelayError extends TidemarkError {
  /** Id of the request at the relay, for support. */
  readonly requestId: string | undefined;
  /** How long the relay asked to wait, ms. */
  readonly retryAfterMs: number | null;

  constructor(
    code: ErrorCode,
    params: ErrorParams,
    more: { requestId?: string | undefined; retryAfterMs?: number | null; cause?: unknown } = {},
  ) {
    super(code, params, more.cause);
    this.requestId = more.requestId;
    this.retryAfterMs = more.retryAfterMs ?? null;
  }
}

/** Node's codes for certificates that cannot be trusted. */
const CERTIFICATE =
  /^(CERT_|ERR_TLS_CERT_|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_(VERIFY|GET)_|HOSTNAME_MISMATCH)/;

/** Why a connection failed, by the system's code, in words for the message. The code itself stays in the fault's detail. */
const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection was refused',
  ECONNRESET: 'the connection was lost',
  EPIPE: 'the connection was lost',
  ERR_BAD_RESPONSE: 'the connection was lost',
  ECONNABORTED: 'the connection was lost',
  ETIMEDOUT: 'the connection timed out',
  EHOSTUNREACH: 'there is no route to it',
  ENETUNREACH: 'there is no route to it',
  ENETDOWN: 'the network is down',
  ENOTFOUND: 'its name is not known',
  EAI_AGAIN: 'its name cannot be looked up now',
};

/** The error of a request without an answer, or with a part of one. `relay`: the host, for the sentence. */
export function noAnswer(relay: string, error: unknown): RelayError {
  const { code = '', message } = error as { code?: string; message: string };
  if (CERTIFICATE.test(code)) return new RelayError('relay_cert', { detail: message }, { cause: error });
  return new RelayError('relay_unreachable', { relay, detail: REASONS[code] ?? (code || message) }, { cause: error });
}

export interface RefusedAnswer {
  status: number;
  headers: Record<string, unknown>;
  body: Buffer;
}

/** The error that an answer with another status than expected means. Only the relay itself answers with problem documents. */
export function refused(relay: string, { status, headers, body }: RefusedAnswer): RelayError {
  const retryAfterMs = parseRetryAfter(headers['retry-after'], Date.now());
  const problem = Problem.safeParse(parseJson(body));
  if (problem.success) {
    const { code, params, requestId } = problem.data;
    return new RelayError(code, params, { requestId, retryAfterMs });
  }
  if (status === 429 || (status === 503 && retryAfterMs !== null))
    return new RelayError('relay_busy', {}, { retryAfterMs });
  if (status >= 500) return new RelayError('relay_failed', { status }, { retryAfterMs });
  return new RelayError('relay_not_tidemark', { relay });
}

/** A thrown error as the machine takes it. `progressed`: something was gained before. */
export function failureOf(error: TidemarkError, progressed: boolean): Failure {
  const relay = error instanceof RelayError ? error : null;
  const cause = error.cause instanceof Error ? error.cause.message : undefined;
  return {
    fault: {
      code: error.code,
      params: error.params,
      ...(cause === undefined || cause === error.message ? {} : { detail: cause }),
      ...(relay?.requestId === undefined ? {} : { requestId: relay.requestId }),
    },
    retryAfterMs: relay?.retryAfterMs ?? null,
    // A damaged snapshot is discarded, so its bytes are no gain: the same download would be repeated at once.
    progressed: progressed && error.code !== 'snapshot_corrupt',
  };
}

/** Undefined when the bytes are not JSON: no schema accepts that, so the caller's code decides what it means. */
export function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}
