import type { IncomingMessage, ServerResponse } from 'node:http';
import { TidemarkError } from '@tidemark/protocol/errors';

/**
 * Reads request bodies within limits of size and time. The caller must have authenticated the request.
 *
 * A body that is refused is not read to its end. The connection stays open, so that the client can read the answer; the
 * server discards what still arrives and closes the connection soon.
 */

export interface BodyLimits {
  bytes: number;
  ms: number;
  /** Called with the size of each chunk. It throws if the relay holds too many bytes of bodies. */
  hold: (bytes: number) => void;
}

/**
 * Reads a body into its own buffer, so that it can be transferred to another thread. Throws body_too_large,
 * request_invalid for a body that takes too long, the error of `hold`, and the error of a body that breaks off.
 */
export function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  { bytes: limit, ms, hold }: BodyLimits,
): Promise<Uint8Array<ArrayBuffer>> {
  return new Promise((resolve, reject) => {
    const tooLarge = () => new TidemarkError('body_too_large', { limit });
    if (Number(request.headers['content-length'] ?? 0) > limit) {
      reject(tooLarge());
      return;
    }
    const chunks: Buffer[] = [];
    let size = 0;
    const stop = () => {
      clearTimeout(timer);
      request.off('data', onData).off('end', onEnd).off('error', refuse);
    };
    const refuse = (error: unknown) => {
      stop();
      reject(error);
      // The connection may end after the refusal.
      request.on('error', () => undefined).resume();
    };
    const timer = setTimeout(
      () => refuse(new TidemarkError('request_invalid', { detail: `the body did not arrive within ${ms / 1000} s` })),
      ms,
    );
    const onData = (chunk: Buffer) => {
      size += chunk.length;
      try {
        if (size > limit) throw tooLarge();
        hold(chunk.length);
        chunks.push(chunk);
      } catch (error) {
        refuse(error);
      }
    };
    const onEnd = () => {
      stop();
      resolve(joined(chunks, size));
    };
    request.on('data', onData).once('end', onEnd).once('error', refuse);
    // The client sends the body only after this.
    if (request.headers.expect !== undefined && request.httpVersion !== '1.0') response.writeContinue();
  });
}

function joined(chunks: Buffer[], size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** Parses a body as JSON. Throws request_invalid for a body that is not JSON or has more than about `mostValues` values. */
export function json(bytes: Uint8Array, mostValues: number): unknown {
  if (countValues(bytes) > mostValues)
    throw new TidemarkError('request_invalid', { detail: `the body has more than ${mostValues} values` });
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    throw new TidemarkError('request_invalid', { detail: 'the body is not JSON' }, error);
  }
}

const [QUOTE, COMMA, BRACKET, BACKSLASH, BRACE] = [0x22, 0x2c, 0x5b, 0x5c, 0x7b];

/** Counts the values in JSON text by the characters that precede them, without parsing it. */
function countValues(bytes: Uint8Array): number {
  let count = 0;
  let inText = false;
  for (let n = 0; n < bytes.length; n++) {
    const byte = bytes[n];
    if (byte === QUOTE) inText = !inText;
    else if (inText && byte === BACKSLASH) n++;
    else if (!inText && (byte === COMMA || byte === BRACKET || byte === BRACE)) count++;
  }
  return count;
}
