import { DigestRequest, RowsRequest } from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { z } from 'zod';
import { checkRanges } from './key-ranges.ts';

/** Parses the body of a digests or rows request. The body of a hostile client costs too much for the event loop. */

/** Maximum number of mistakes that a refusal names. */
const NAMED_MISTAKES = 5;

/** Maximum number of parts in the answer to one request. It bounds the answer. Terminals ask for at most as many. */
const MAX_PARTS = 4096;

/** Throws request_invalid. */
export function digestAsks(body: Uint8Array): DigestRequest['asks'] {
  const { asks } = parse(body, DigestRequest);
  const parts = asks.reduce((sum, ask) => sum + ask.parts, 0);
  if (parts > MAX_PARTS)
    throw new TidemarkError('request_invalid', { detail: `asks: ask for ${parts} parts, more than ${MAX_PARTS}` });
  return asks;
}

/** Throws request_invalid. */
export const rowsAsks = (body: Uint8Array): RowsRequest['asks'] => parse(body, RowsRequest).asks;

function parse<T extends z.ZodType>(bytes: Uint8Array, schema: T): z.output<T> {
  const body = json(bytes);
  checkRanges(body);
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const named = parsed.error.issues.slice(0, NAMED_MISTAKES);
  const detail = named.map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`).join('; ');
  throw new TidemarkError('request_invalid', { detail });
}

function json(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    throw new TidemarkError('request_invalid', { detail: 'the body is not JSON' }, error);
  }
}
