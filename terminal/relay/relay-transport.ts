import http from 'node:http';
import https from 'node:https';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import zlib from 'node:zlib';
import { HEADERS } from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import { PROTOCOL_VERSION } from '@tidemark/protocol/page';
import axios, { type AxiosInstance, type AxiosResponse } from 'axios';
import { noAnswer, RelayError, refused } from './relay-errors.ts';
import type { Secret } from './secret.ts';

/**
 * One HTTP request to a relay, with limits on time and size. Every failure is a RelayError with a code, or `cancelled`
 * when the caller's signal aborts.
 */

/** How long the relay may take to begin an answer, ms. */
export const ANSWER_MS = 10_000;
/** The longest pause within an answer, ms. */
const IDLE_MS = 60_000;
/** Upper bound on an answer other than a page or a snapshot, bytes. */
export const MAX_JSON_BYTES = 4 * 1024 * 1024;
/** Upper bound on a page, in bytes. Pages are about 1 MiB unless a single row is larger. */
export const MAX_PAGE_BYTES = 512 * 1024 * 1024;

const LATE = new Error('no answer in time');

type Inflate = (bytes: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>;
/** Codings that this runtime can decode, best first. Node before 22.15 has no zstd. */
const INFLATERS: Record<string, Inflate> = {
  ...(typeof zlib.zstdDecompress === 'function' ? { zstd: promisify(zlib.zstdDecompress) } : {}),
  gzip: promisify(zlib.gunzip),
};
/** The value of accept-encoding for answers that {@link RelayTransport.body} decodes. */
export const ACCEPTED_CODINGS = Object.keys(INFLATERS).join(', ');

export interface RelayAddress {
  relayUrl: string;
  feed: string;
  token: Secret;
  /** Version of this program, for the relay's list of terminals. */
  version: string;
}

/** Observes the progress of a request. */
export interface Transfer {
  /** Called with the number of bytes that have just arrived. */
  received(bytes: number): void;
  /** Called with the time at which the request gives up, ms since 1970. Null: no request is in flight. */
  deadline(at: number | null): void;
  /** Called with the totals of all pages of a compacted transaction. */
  compacted?(totals: { changes: number; bytes: number }): void;
}

export interface Request {
  query?: Record<string, string | number | undefined>;
  headers?: Record<string, string>;
  signal: AbortSignal;
  /** How long the relay may take to begin the answer, ms. */
  answerMs?: number;
  transfer?: Transfer;
  /** The body of a POST request, sent as JSON. */
  body?: unknown;
}

export type Answer = AxiosResponse<Readable>;

export class RelayTransport {
  /** The relay's host name, for error messages. */
  readonly host: string;
  readonly #http: AxiosInstance;
  readonly #agents: (http.Agent | https.Agent)[];

  constructor({ relayUrl, token, version }: RelayAddress) {
    this.host = new URL(relayUrl).host;
    const keep = { keepAlive: true, noDelay: true };
    const agents = { httpAgent: new http.Agent(keep), httpsAgent: new https.Agent(keep) };
    this.#agents = Object.values(agents);
    this.#http = axios.create({
      ...agents,
      baseURL: relayUrl,
      headers: {
        authorization: `Bearer ${token.reveal()}`,
        [HEADERS.protocol]: String(PROTOCOL_VERSION),
        [HEADERS.terminal]: version,
      },
      maxRedirects: 0,
      // This class decodes answers itself, so that it can limit their size and decode off the main thread.
      decompress: false,
      responseType: 'stream',
      validateStatus: () => true,
    });
  }

  close(): void {
    for (const agent of this.#agents) agent.destroy();
  }

  /** Sends a request and waits until the answer begins. */
  async send(path: string, request: Request): Promise<Answer> {
    const { answerMs = ANSWER_MS, signal, transfer } = request;
    // Only the beginning of the answer has this limit. A body may take longer on a slow link while bytes keep arriving.
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(LATE), answerMs);
    transfer?.deadline(Date.now() + answerMs);
    try {
      return await this.#http.request<Readable>({
        url: path,
        ...(request.body === undefined ? { method: 'GET' } : { method: 'POST', data: JSON.stringify(request.body) }),
        params: request.query,
        headers: request.headers ?? {},
        signal: AbortSignal.any([signal, late.signal]),
      });
    } catch (error) {
      if (signal.aborted) throw new TidemarkError('cancelled');
      if (late.signal.aborted) throw new RelayError('relay_timeout', { relay: this.host });
      throw noAnswer(this.host, error);
    } finally {
      clearTimeout(timer);
      transfer?.deadline(null);
    }
  }

  /**
   * Reads and decodes the body of an answer. Throws `page_corrupt` when it does not have the announced length or
   * coding.
   */
  async body(answer: Answer, maxBytes: number, signal: AbortSignal, transfer?: Transfer): Promise<Buffer> {
    const length = Number(answer.headers['content-length'] ?? Number.NaN);
    const bytes = await this.#collect(answer, maxBytes, signal, transfer);
    if (Number.isFinite(length) && bytes.length !== length) throw new TidemarkError('page_corrupt');
    const coding = String(answer.headers['content-encoding'] ?? 'identity');
    if (coding === 'identity') return bytes;
    const inflate = INFLATERS[coding];
    if (!inflate) throw new TidemarkError('page_corrupt');
    return inflate(bytes, { maxOutputLength: maxBytes }).catch((error: unknown) => {
      throw new TidemarkError('page_corrupt', {}, error);
    });
  }

  /** Reads the body of an answer to a request that accepts no coding. */
  plainBody(answer: Answer, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
    return this.#collect(answer, maxBytes, signal);
  }

  /** Throws the error for an answer with an unexpected HTTP status. */
  async refuse(answer: Answer, signal: AbortSignal): Promise<never> {
    const body = await this.#collect(answer, MAX_JSON_BYTES, signal);
    throw refused(this.host, { status: answer.status, headers: answer.headers, body });
  }

  /** Yields the chunks of an answer as they arrive. Throws when the answer pauses too long or ends early. */
  async *chunks({ data: stream }: Answer, signal: AbortSignal, transfer?: Transfer): AsyncGenerator<Buffer> {
    let idle = false;
    const timer = setTimeout(() => {
      idle = true;
      stream.destroy();
    }, IDLE_MS);
    const abort = () => stream.destroy();
    signal.addEventListener('abort', abort);
    const throwIfEnded = () => {
      if (signal.aborted) throw new TidemarkError('cancelled');
      if (idle) throw new RelayError('relay_timeout', { relay: this.host });
    };
    try {
      transfer?.deadline(Date.now() + IDLE_MS);
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        timer.refresh();
        transfer?.received(chunk.length);
        transfer?.deadline(Date.now() + IDLE_MS);
        yield chunk;
      }
      throwIfEnded();
    } catch (error) {
      throwIfEnded();
      throw error instanceof TidemarkError ? error : noAnswer(this.host, error);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      transfer?.deadline(null);
      stream.destroy();
    }
  }

  async #collect(answer: Answer, maxBytes: number, signal: AbortSignal, transfer?: Transfer): Promise<Buffer> {
    const parts: Buffer[] = [];
    let size = 0;
    for await (const chunk of this.chunks(answer, signal, transfer)) {
      size += chunk.length;
      if (size > maxBytes) throw new RelayError('relay_not_tidemark', { relay: this.host });
      parts.push(chunk);
    }
    return parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts);
  }
}
