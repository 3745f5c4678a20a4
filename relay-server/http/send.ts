import type { ServerResponse } from 'node:http';
import type { ReadyPage } from '../pages/page-cache.ts';

/** Sends answers that are already encoded. It avoids `res.send`, which hashes each body for an ETag. */

/**
 * Headers of pages and snapshots. Any cache may keep them, but a shared cache must store them separately for each key.
 */
export const FOREVER = {
  'cache-control': 'public, max-age=31536000, immutable',
  vary: 'Accept-Encoding, Authorization',
} as const;

export const NEVER_CACHED = { 'cache-control': 'no-store' } as const;

export function sendBytes(
  response: ServerResponse,
  type: string,
  { bytes, coding }: ReadyPage,
  headers: Record<string, string>,
  status = 200,
): void {
  response.writeHead(status, {
    ...headers,
    'content-type': type,
    'content-length': bytes.length,
    ...(coding === 'identity' ? {} : { 'content-encoding': coding }),
  });
  response.end(bytes);
}

export function sendJson(response: ServerResponse, value: unknown, status = 200): void {
  const bytes = Buffer.from(JSON.stringify(value));
  sendBytes(response, 'application/json', { bytes, coding: 'identity' }, NEVER_CACHED, status);
}
