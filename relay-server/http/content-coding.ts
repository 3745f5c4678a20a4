import type { IncomingMessage } from 'node:http';
import Negotiator from 'negotiator';
import { CODINGS, type Coding } from '../pages/compression.ts';

/**
 * Returns the coding with the highest weight in Accept-Encoding, and among equal weights the one that compresses best.
 * Returns `identity` if none is accepted.
 */
export function codingOf({ headers }: Pick<IncomingMessage, 'headers'>): Coding {
  if (headers['accept-encoding'] === undefined) return 'identity';
  return new Negotiator({ headers }).encoding(CODINGS, { preferred: CODINGS }) ?? 'identity';
}
