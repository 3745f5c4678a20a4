import path from 'node:path';
import { TidemarkError } from '@tidemark/protocol/errors';
import send from 'send';
import type { SnapshotFile } from '../../snapshots/snapshot-folder.ts';
import { FOREVER } from '../send.ts';
import type { Call } from './route.ts';

/** Size of the chunks in which a file is read, in bytes. */
const CHUNK_BYTES = 256 * 1024;

/**
 * Sends a snapshot file, or the part that the Range header requests. The ETag is the file's SHA-256, so that a download
 * resumes only with the same file. Resolves when the answer has been sent or the caller has disconnected. Throws
 * snapshot_gone.
 */
export function sendSnapshotFile(
  { request, response, signal }: Pick<Call<unknown>, 'request' | 'response' | 'signal'>,
  { file, sha256 }: SnapshotFile,
): Promise<void> {
  if (response.destroyed) return Promise.resolve();
  for (const [name, value] of Object.entries(FOREVER)) response.setHeader(name, value);
  response.setHeader('content-type', 'application/octet-stream');
  response.setHeader('etag', `"${sha256}"`);
  return new Promise((resolve, reject) => {
    const options = { root: path.dirname(file), cacheControl: false, lastModified: false, highWaterMark: CHUNK_BYTES };
    const sending = send(request, encodeURIComponent(path.basename(file)), options);
    sending.on('error', (error: { status?: number; code?: string; headers?: Record<string, string> }) => {
      // Remove the file's cache headers from the problem answer.
      for (const name of response.getHeaderNames()) if (name in FOREVER || name === 'etag') response.removeHeader(name);
      if (error.status === 416) {
        response.writeHead(416, { ...error.headers, 'content-length': 0 });
        response.end(resolve);
      } else reject(error.status === 404 ? new TidemarkError('snapshot_gone') : error);
    });
    response.once('finish', resolve);
    // The caller has disconnected. It will request the rest later.
    response.once('close', resolve);
    signal.addEventListener('abort', () => response.destroy(), { once: true });
    sending.pipe(response);
  });
}
