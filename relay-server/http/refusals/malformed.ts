import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { ERRORS, TidemarkError } from '@tidemark/protocol/errors';
import { HEADER_BYTES, MOST_HEADERS } from '../limits/http-limits.ts';
import { refusalBody } from './refusal-body.ts';
import type { RefusalLog } from './refusal-log.ts';

/** Answers requests that are not valid HTTP, which reach no route. The connection is closed afterwards. */

const WHY: Record<string, string> = {
  HPE_HEADER_OVERFLOW: `the headers are longer than ${HEADER_BYTES / 1024} KiB, or more than ${MOST_HEADERS}`,
  ERR_HTTP_REQUEST_TIMEOUT: 'the request did not arrive in time',
};

export function answerMalformed(server: Server, refusals: RefusalLog): void {
  server.on('clientError', (cause: NodeJS.ErrnoException, socket: Socket) => {
    const client = socket.remoteAddress ?? 'unknown';
    const error = new TidemarkError('request_invalid', { detail: WHY[cause.code ?? ''] ?? 'it is not valid HTTP' });
    const { status } = ERRORS.request_invalid;
    // A connection that was reset has nobody to answer.
    if (cause.code !== 'ECONNRESET')
      refusals.add({ requestId: '', client, method: '', path: '', status, key: null }, error);
    if (!socket.writable || cause.code === 'ECONNRESET' || socket.bytesWritten > 0) {
      socket.destroy();
      return;
    }
    const body = refusalBody(error, status);
    socket.end(
      [
        'HTTP/1.1 400 Bad Request',
        'connection: close',
        'content-type: application/problem+json',
        'cache-control: no-store',
        `content-length: ${body.length}`,
        '',
        body,
      ].join('\r\n'),
    );
  });
}
