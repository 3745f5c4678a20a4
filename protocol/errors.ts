import { z } from 'zod';
import { ERRORS, ErrorCode } from './error-list.ts';

/**
 * Errors, thrown inside a process or sent over HTTP as a problem document. The relay, the commands and the app take
 * their sentences from {@link ERRORS}, so an error reads the same everywhere.
 */

export { ERRORS, ErrorCode };

/** Values for the placeholders `{name}` of a sentence. */
export type ErrorParams = Record<string, string | number>;

const NUMBERS = new Intl.NumberFormat('en-GB');

/**
 * Replaces each `{name}` of a sentence with the param of that name, or with `?` when there is none. `{rows:row}`
 * becomes `1 row` or `1,204 rows`. When a detail ends with a full stop, the sentence does not add a second one.
 */
export function fill(sentence: string, params: ErrorParams): string {
  return sentence.replace(/\{(\w+)(?::(\w+))?\}(\.?)/g, (_, name: string, noun: string | undefined, stop: string) => {
    const value = params[name] ?? '?';
    if (noun === undefined || typeof value !== 'number') return `${String(value).replace(/\.$/, stop && '')}${stop}`;
    return `${NUMBERS.format(value)} ${noun}${value === 1 ? '' : 's'}${stop}`;
  });
}

/**
 * An error of the list. Its message is the filled sentence. `params` must not contain a secret, because they are sent
 * and logged.
 */
export class TidemarkError extends Error {
  override readonly name = 'TidemarkError';
  readonly code: ErrorCode;
  readonly params: ErrorParams;

  constructor(code: ErrorCode, params: ErrorParams = {}, cause?: unknown) {
    super(fill(ERRORS[code].means, params), cause === undefined ? undefined : { cause });
    this.code = code;
    this.params = params;
  }

  /** Whether the same request can succeed later, unchanged. */
  get retry(): boolean {
    return ERRORS[this.code].retry;
  }
}

/**
 * Returns the error for work that needs more space than is free. Takes bytes. The sentence shows MB, which are 10^6
 * bytes everywhere.
 */
export function diskFullError(freeBytes: number, neededBytes: number): TidemarkError {
  const megabytes = (bytes: number) => `${NUMBERS.format(Math.ceil(bytes / 1e6))} MB`;
  return new TidemarkError('disk_full', {
    detail: `${megabytes(freeBytes)} free, about ${megabytes(neededBytes)} needed`,
  });
}

/** Converts any thrown value to a TidemarkError. Other errors become `internal`, with their message as detail. */
export function asTidemarkError(thrown: unknown): TidemarkError {
  if (thrown instanceof TidemarkError) return thrown;
  const detail = thrown instanceof Error ? thrown.message : String(thrown);
  return new TidemarkError('internal', { detail }, thrown);
}

/** Body of an HTTP answer with an error: RFC 9457, `application/problem+json`. */
export const Problem = z.object({
  /** `urn:tidemark:error:` and the code. */
  type: z.string(),
  /** The filled sentence, for people. */
  title: z.string(),
  /** HTTP status of the answer. */
  status: z.int(),
  code: ErrorCode,
  /** The remedy, for people. */
  todo: z.string(),
  /** Whether the same request can succeed later, unchanged. */
  retry: z.boolean(),
  params: z.record(z.string(), z.union([z.string(), z.number()])),
  /** Id of the request in the relay's log, if it has one. */
  requestId: z.string().optional(),
});
export type Problem = z.infer<typeof Problem>;

/** Returns the body of the answer for an error. */
export function toProblem(error: TidemarkError, requestId?: string): Problem {
  const { status, todo, retry } = ERRORS[error.code];
  return {
    type: `urn:tidemark:error:${error.code}`,
    title: error.message,
    status,
    code: error.code,
    todo,
    retry,
    params: error.params,
    ...(requestId === undefined ? {} : { requestId }),
  };
}
