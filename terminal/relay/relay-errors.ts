import { type ErrorCode, type ErrorParams, Problem, TidemarkError } from '@tidemark/protocol/errors';
import { mayRefuse } from '@tidemark/protocol/refusals';
import { parseRetryAfter } from '@tidemark/protocol/retry-wait';
import type { Failure } from '../machine/event.ts';

/**
 * Turns failed requests into errors. The answer may come from the relay or from a proxy, a sign-in page or a load
 * balancer in between.
 */

/** A failed request to a relay. */
export class RelayError extends TidemarkError {
  /** The request's id in the relay's log, for support. */
  readonly requestId: string | undefined;
  /** How long the relay asked the terminal to wait, ms. */
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

/** Node's error codes for certificates that cannot be trusted. */
const CERTIFICATE =
  /^(CERT_|ERR_TLS_CERT_|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_(VERIFY|GET)_|HOSTNAME_MISMATCH)/;

/**
 * The reason for a failed connection, in words, by the system's error code. The code itself stays in the fault's
 * detail.
 */
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

/**
 * Returns the error for a request that received no answer, or only part of one. `relay`: the host name for the
 * sentence.
 */
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

/**
 * Returns the error for an answer with an unexpected HTTP status. Only the relay itself answers with problem documents.
 */
export function refused(relay: string, { status, headers, body }: RefusedAnswer): RelayError {
  const retryAfterMs = parseRetryAfter(headers['retry-after'], Date.now());
  const problem = Problem.safeParse(parseJson(body));
  // A code that a relay does not send to terminals, such as `usage` or `config_invalid`, says nothing about this PC (S14).
  if (problem.success && mayRefuse('terminal', problem.data.code)) {
    const { code, params, requestId } = problem.data;
    return new RelayError(code, cleaned(params), {
      requestId: requestId === undefined ? undefined : cleanText(requestId),
      retryAfterMs,
    });
  }
  if (status === 429 || (status === 503 && retryAfterMs !== null))
    return new RelayError('relay_busy', {}, { retryAfterMs });
  if (status >= 500) return new RelayError('relay_failed', { status }, { retryAfterMs });
  return new RelayError('relay_not_tidemark', { relay });
}

/** Largest number of params that a terminal reads from a refusal. No error has more. */
const MOST_PARAMS = 20;
/** Longest text of a param or a request id, in characters. */
const TEXT_LENGTH = 1_000;

/** Returns params that are safe to show and to store, whatever the relay, or a program in its place, has sent. */
function cleaned(params: ErrorParams): ErrorParams {
  return Object.fromEntries(
    Object.entries(params)
      .slice(0, MOST_PARAMS)
      .map(([name, value]) => [cleanText(name), typeof value === 'string' ? cleanText(value) : value]),
  );
}

/** Cuts a text, and replaces control characters, which could otherwise move the cursor of a console. */
function cleanText(text: string): string {
  return text.slice(0, TEXT_LENGTH).replace(/\p{Cc}/gu, ' ');
}

/**
 * Faults after which the bytes of a download are useless. They do not count as progress, because the run would
 * otherwise repeat the same download at once.
 */
const DISCARDS = new Set<ErrorCode>(['snapshot_corrupt', 'snapshot_gone', 'epoch_changed']);

/** Converts a thrown error to the machine's form. `progressed`: whether the work made progress before it failed. */
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
    progressed: progressed && !DISCARDS.has(error.code),
  };
}

/**
 * Parses JSON. Returns undefined when the bytes are not JSON. No schema accepts undefined, so the caller's own check
 * then reports the error.
 */
export function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}
