import { TidemarkError, toProblem } from '@tidemark/protocol/errors';
import type { z } from 'zod';
import { withBoundedParams } from './refusal.ts';

/** Encodes refusals. A refusal has at most {@link REFUSAL_BYTES}, whatever text of the caller it repeats (B47). */

/** Maximum size of a refusal's body, in bytes. */
export const REFUSAL_BYTES = 2_048;
/** Maximum number of mistakes that a refusal names. */
const NAMED_MISTAKES = 5;

/**
 * Returns the body of a refusal. Cuts the params to the length with which the body fits, because the title repeats them
 * and JSON may encode one character in 6 bytes.
 */
export function refusalBody(error: TidemarkError, status: number, requestId?: string): Buffer {
  let longest = REFUSAL_BYTES;
  for (;;) {
    const problem = toProblem(withBoundedParams(error, longest), requestId);
    const bytes = Buffer.from(JSON.stringify({ ...problem, status }));
    if (bytes.length <= REFUSAL_BYTES || longest === 0) return bytes;
    longest = Math.floor(longest * 0.8);
  }
}

/** Returns the error for input that a schema refuses. It names the first mistakes, each with its field. */
export function mistakesIn({ issues }: z.ZodError, input: string): TidemarkError {
  const named = issues.slice(0, NAMED_MISTAKES).map(({ path, message }) => `${path.join('.') || input}: ${message}`);
  return new TidemarkError('request_invalid', { detail: named.join('; ') });
}
