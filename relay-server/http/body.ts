import type { IncomingMessage } from 'node:http';
import { TidemarkError } from '@tidemark/protocol/errors';

/** Reads request bodies up to a size limit. The caller must have authenticated the request. */

/** Reads a body into its own buffer, so that it can be transferred to another thread. Throws body_too_large. */
export async function readBody(request: IncomingMessage, limit: number): Promise<Uint8Array<ArrayBuffer>> {
  const declared = Number(request.headers['content-length'] ?? 0);
  if (declared > limit) throw new TidemarkError('body_too_large', { limit });
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limit) throw new TidemarkError('body_too_large', { limit });
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** Parses a body as JSON. Throws request_invalid. */
export function json(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    throw new TidemarkError('request_invalid', { detail: 'the body is not JSON' }, error);
  }
}
