import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { SnapshotFile } from '../snapshots/snapshots.ts';
import type { Call } from './route.ts';
import { FOREVER } from './send.ts';

/** Sends a snapshot's file, or the part of it that Range asks for. */
export async function sendSnapshotFile(
  { request, response, signal }: Pick<Call<unknown>, 'request' | 'response' | 'signal'>,
  { file, bytes, sha256 }: SnapshotFile,
): Promise<void> {
  const etag = `"${sha256}"`;
  const wanted = request.headers.range;
  const fresh = request.headers['if-range'] === undefined || request.headers['if-range'] === etag;
  const match = wanted !== undefined && fresh ? /^bytes=(\d+)-(\d*)$/.exec(wanted) : null;
  const from = match ? Number(match[1]) : 0;
  const to = match?.[2] ? Math.min(Number(match[2]), bytes - 1) : bytes - 1;
  const common = { ...FOREVER, 'content-type': 'application/octet-stream', 'accept-ranges': 'bytes', etag };
  if (match && from > to) {
    response.writeHead(416, { ...common, 'content-range': `bytes */${bytes}`, 'content-length': 0 });
    response.end();
    return;
  }
  response.writeHead(match ? 206 : 200, {
    ...common,
    'content-length': to - from + 1,
    ...(match ? { 'content-range': `bytes ${from}-${to}/${bytes}` } : {}),
  });
  try {
    await pipeline(createReadStream(file, { start: from, end: to, highWaterMark: 256 * 1024 }), response, { signal });
  } catch (error) {
    // The caller disconnected and will ask for the rest.
    if (!signal.aborted && (error as NodeJS.ErrnoException).code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
  }
}
