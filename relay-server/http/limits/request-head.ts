import type { IncomingMessage } from 'node:http';
import { TidemarkError } from '@tidemark/protocol/errors';
import { MOST_HEADERS } from './http-limits.ts';

/**
 * Checks rules that the HTTP parser does not check. Throws request_invalid for too many headers, for a request of HTTP/1.1
 * without a host, and for an expectation other than `100-continue`.
 */
export function checkHead({ rawHeaders, headers, httpVersion }: IncomingMessage): void {
  if (rawHeaders.length > 2 * MOST_HEADERS) refuse(`it has more than ${MOST_HEADERS} headers`);
  if (headers.host === undefined && httpVersion !== '1.0') refuse('the header host is missing');
  if (headers.expect !== undefined && headers.expect.toLowerCase() !== '100-continue')
    refuse('the header expect is not 100-continue');
}

function refuse(detail: string): never {
  throw new TidemarkError('request_invalid', { detail });
}
