import { TidemarkError } from '@tidemark/protocol/errors';

/**
 * Checks the ranges of a digests or rows request before its schema does. It stops at the first mistake, because a schema
 * collects every mistake: a body of 1 MB with 200,000 invalid key values would block the event loop for seconds. It
 * must not accept or refuse anything that the schema decides otherwise, except that it limits the values of a key.
 */

/** Maximum number of ranges in a request. */
const MAX_RANGES = 256;

/** Maximum number of values in a key: SQLite's limit on the columns of a table. */
const MAX_KEY_VALUES = 2000;

/** Throws request_invalid, which names the field, for too many ranges or key values and for an invalid key value. */
export function checkRanges(body: unknown): void {
  const asks = fieldOf(body, 'asks');
  if (!Array.isArray(asks)) return;
  if (asks.length > MAX_RANGES) refuse('asks', `has ${asks.length} ranges, more than ${MAX_RANGES}`);
  asks.forEach((ask: unknown, n) => {
    const range = fieldOf(ask, 'range');
    for (const end of ['after', 'upto']) checkKey(fieldOf(range, end), `asks.${n}.range.${end}`);
  });
}

function checkKey(key: unknown, field: string): void {
  if (!Array.isArray(key)) return;
  if (key.length > MAX_KEY_VALUES) refuse(field, `has ${key.length} values, more than ${MAX_KEY_VALUES}`);
  const invalid = key.findIndex((value) => !isKeyValue(value));
  if (invalid >= 0) refuse(`${field}.${invalid}`, 'is not a key value');
}

function isKeyValue(value: unknown): boolean {
  return value === null || typeof value === 'string' || Number.isFinite(value);
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

function refuse(field: string, mistake: string): never {
  throw new TidemarkError('request_invalid', { detail: `${field}: ${mistake}` });
}
