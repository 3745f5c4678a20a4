import type { IncomingMessage } from 'node:http';
import Negotiator from 'negotiator';
import { CODINGS, type Coding } from '../pages/page-cache.ts';

/** The coding of an answer: the one that Accept-Encoding weighs highest, of equal ones the smallest; else `identity`. */
export function codingOf({ headers }: Pick<IncomingMessage, 'headers'>): Coding {
  if (headers['accept-encoding'] === undefined) return 'identity';
  return new Negotiator({ headers }).encoding(CODINGS, { preferred: CODINGS }) ?? 'identity';
}
