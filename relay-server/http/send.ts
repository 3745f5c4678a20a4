import type { ServerResponse } from 'node:http';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { ReadyPage } from '../pages/compression.ts';
import type { HeldPage } from '../pages/queue/unread-answers.ts';

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

/** How long a client may take no byte of a page before it is disconnected, and its slowest rate. See B5. */
export const READING = { pauseMs: 30_000, bytesPerSecond: 2_048 };

/**
 * Sends a page and releases it when the client has taken it. Disconnects a client that does not read. If `held` is null,
 * the client has gone or the relay stops; then throws relay_busy if the client can still receive it.
 */
export function sendPage(
  response: ServerResponse,
  held: HeldPage | null,
  headers: Record<string, string>,
  { pauseMs, bytesPerSecond } = READING,
): void {
  if (!held) {
    if (response.destroyed) return;
    throw new TidemarkError('relay_busy');
  }
  const { page, release } = held;
  if (response.destroyed) return release();
  // The response of a pipelined request has no socket yet, but its request has.
  const { socket } = response.req;
  const limitMs = pauseMs + (page.bytes.length / bytesPerSecond) * 1000;
  const tooSlow = setTimeout(() => socket.destroy(), limitMs).unref();
  response.once('close', () => {
    clearTimeout(tooSlow);
    release();
  });
  // Node restarts this timer whenever the client takes bytes.
  response.setTimeout(pauseMs, () => socket.destroy());
  sendBytes(response, 'application/x-ndjson', page, headers);
}
