import http from 'node:http';
import https from 'node:https';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import zlib from 'node:zlib';
import {
  DigestAnswer,
  type DigestRequest,
  HEADERS,
  RelayStatus,
  type RowsRequest,
  SnapshotManifest,
  TableList,
  TransactionList,
} from '@tidemark/protocol/api';
import { type Cursor, formatStart, type PageStart, type Seq } from '@tidemark/protocol/cursor';
import { TidemarkError } from '@tidemark/protocol/errors';
import { PROTOCOL_VERSION, type ScopeSet } from '@tidemark/protocol/page';
import { PATHS } from '@tidemark/protocol/paths';
import { type VerifiedPage, verifyPage } from '@tidemark/replica/page-reader';
import axios, { type AxiosInstance, type AxiosResponse } from 'axios';
import type { z } from 'zod';
import type { PullPlan } from '../machine/state.ts';
import { noAnswer, parse, RelayError, refused } from './relay-errors.ts';
import type { Secret } from './secret.ts';

/** How long the relay may take to begin an answer, ms. */
const ANSWER_MS = 10_000;
/** The same where the relay computes; after a while it says itself that it is to be asked again. */
const COMPARE_MS = 30_000;
/** How long an answer may pause, ms. */
const IDLE_MS = 60_000;
/** An answer other than a page or a copy is never larger, bytes. */
const JSON_BYTES = 4 * 1024 * 1024;
/** A page is about 1 MiB, but for a single row that is larger; beyond this something is wrong, bytes. */
const PAGE_MOST_BYTES = 512 * 1024 * 1024;

const LATE = new Error('no answer in time');

type Inflate = (bytes: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>;
/** Codings that this runtime can undo, best first. Node before 22.15 has no zstd. */
const INFLATERS: Record<string, Inflate> = {
  ...(typeof zlib.zstdDecompress === 'function' ? { zstd: promisify(zlib.zstdDecompress) } : {}),
  gzip: promisify(zlib.gunzip),
};

export interface RelayAddress {
  relayUrl: string;
  feed: string;
  token: Secret;
  /** Version of this terminal, for the relay's list. */
  version: string;
}

/** Told of all data that comes, and of when the request in flight gives up. */
export interface Transfer {
  received(bytes: number): void;
  deadline(at: number | null): void;
  /** What all pages of a squash hold, in changes and bytes. */
  squash?(totals: { changes: number; bytes: number }): void;
}

interface Request {
  query?: Record<string, string | number | undefined>;
  headers?: Record<string, string>;
  signal: AbortSignal;
  answerMs?: number;
  transfer?: Transfer;
  /** Sent as JSON, by POST. */
  body?: unknown;
}

/** The terminal's end of the relay. Each call is one request, with time limits; it throws RelayErrors, or `cancelled` when its signal aborts. */
export class RelayClient {
  readonly address: RelayAddress;
  readonly #http: AxiosInstance;
  readonly #agents: (http.Agent | https.Agent)[];

  constructor(address: RelayAddress) {
    this.address = address;
    const keep = { keepAlive: true, noDelay: true };
    const agents = { httpAgent: new http.Agent(keep), httpsAgent: new https.Agent(keep) };
    this.#agents = Object.values(agents);
    this.#http = axios.create({
      ...agents,
      baseURL: address.relayUrl,
      headers: {
        authorization: `Bearer ${address.token.reveal()}`,
        [HEADERS.protocol]: String(PROTOCOL_VERSION),
        [HEADERS.terminal]: address.version,
      },
      maxRedirects: 0,
      // Done here, bounded and off the thread.
      decompress: false,
      responseType: 'stream',
      validateStatus: () => true,
    });
  }

  close(): void {
    for (const agent of this.#agents) agent.destroy();
  }

  /** `scopes`: the set that the data here is of. `waitS`: long poll, the answer may take that many seconds. */
  status(
    { cursor, scopes }: { cursor: Cursor | null; scopes: ScopeSet | null },
    waitS: number,
    signal: AbortSignal,
  ): Promise<RelayStatus> {
    return this.#json(RelayStatus, PATHS.status(this.address.feed), {
      query: {
        epoch: cursor?.epoch,
        seq: cursor?.seq,
        scopes: scopes ?? undefined,
        wait: waitS === 0 ? undefined : waitS,
      },
      signal,
      answerMs: ANSWER_MS + waitS * 1000,
    });
  }

  transactions(cursor: Cursor, after: Seq, limit: number, signal: AbortSignal): Promise<TransactionList> {
    const query = { epoch: cursor.epoch, after, limit };
    return this.#json(TransactionList, PATHS.transactions(this.address.feed), { query, signal });
  }

  tables(cursor: Cursor | null, signal: AbortSignal): Promise<TableList> {
    const query = { epoch: cursor?.epoch, seq: cursor?.seq };
    return this.#json(TableList, PATHS.tables(this.address.feed), { query, signal });
  }

  /** A snapshot; with `from`, not one from before it. */
  manifest(from: Cursor | null, signal: AbortSignal): Promise<SnapshotManifest> {
    const query = { epoch: from?.epoch, from: from?.seq };
    return this.#json(SnapshotManifest, PATHS.snapshot(this.address.feed), { query, signal });
  }

  /** Throws page_corrupt, or page_invalid, when it is not a page that came through whole. `fresh`: caches on the way are passed by. */
  async page(
    plan: PullPlan,
    start: PageStart,
    fresh: boolean,
    signal: AbortSignal,
    transfer: Transfer,
  ): Promise<VerifiedPage> {
    const kind = plan.kind === 'compacted' ? PATHS.squashed : PATHS.page;
    const path = kind(this.address.feed, plan.epoch, plan.scopes, formatStart(start), plan.target);
    const headers = {
      'accept-encoding': Object.keys(INFLATERS).join(', '),
      ...(fresh ? { 'cache-control': 'no-cache' } : {}),
    };
    const answer = await this.#get(path, { headers, signal, transfer });
    if (answer.status !== 200) return this.#refuse(answer, signal);
    if (!String(answer.headers['content-type']).startsWith('application/x-ndjson'))
      throw new RelayError('relay_not_tidemark', { relay: this.#host });
    const [, changes, size] = /^(\d{1,15}) (\d{1,15})$/.exec(String(answer.headers[HEADERS.squashed])) ?? [];
    if (plan.kind === 'compacted' && changes && size)
      transfer.squash?.({ changes: Number(changes), bytes: Number(size) });
    return verifyPage(await this.#decoded(answer, PAGE_MOST_BYTES, signal, transfer));
  }

  /** Checksums of ranges of the rows of a snapshot. */
  async digests(
    snapshot: SnapshotManifest,
    asks: DigestRequest['asks'],
    signal: AbortSignal,
    transfer: Transfer,
  ): Promise<DigestAnswer> {
    const path = PATHS.digests(this.address.feed, snapshot.cursor.epoch, snapshot.scopes, snapshot.cursor.seq);
    const bytes = await this.#ask(path, { asks }, 'application/json', signal, transfer);
    const parsed = DigestAnswer.safeParse(parse(bytes));
    if (!parsed.success) throw new RelayError('relay_not_tidemark', { relay: this.#host }, { cause: parsed.error });
    return parsed.data;
  }

  /** The bytes of an answer to rows, unchecked. */
  rows(
    snapshot: SnapshotManifest,
    asks: RowsRequest['asks'],
    signal: AbortSignal,
    transfer: Transfer,
  ): Promise<Buffer> {
    const path = PATHS.rows(this.address.feed, snapshot.cursor.epoch, snapshot.scopes, snapshot.cursor.seq);
    return this.#ask(path, { asks }, 'application/x-ndjson', signal, transfer);
  }

  async #ask(path: string, body: object, type: string, signal: AbortSignal, transfer: Transfer): Promise<Buffer> {
    const headers = { 'accept-encoding': Object.keys(INFLATERS).join(', '), 'content-type': 'application/json' };
    const answer = await this.#get(path, { headers, signal, transfer, body, answerMs: COMPARE_MS });
    if (answer.status !== 200) return this.#refuse(answer, signal);
    if (!String(answer.headers['content-type']).startsWith(type))
      throw new RelayError('relay_not_tidemark', { relay: this.#host });
    return this.#decoded(answer, PAGE_MOST_BYTES, signal, transfer);
  }

  /** The whole body of an answer, its coding undone. Throws page_corrupt. */
  async #decoded(
    answer: AxiosResponse<Readable>,
    most: number,
    signal: AbortSignal,
    transfer: Transfer,
  ): Promise<Buffer> {
    const length = Number(answer.headers['content-length'] ?? Number.NaN);
    const bytes = await this.#collect(answer.data, most, signal, transfer);
    if (Number.isFinite(length) && bytes.length !== length) throw new TidemarkError('page_corrupt');
    const coding = String(answer.headers['content-encoding'] ?? 'identity');
    if (coding === 'identity') return bytes;
    const inflate = INFLATERS[coding];
    if (!inflate) throw new TidemarkError('page_corrupt');
    return inflate(bytes, { maxOutputLength: most }).catch((error: unknown) => {
      throw new TidemarkError('page_corrupt', {}, error);
    });
  }

  /** The bytes of a snapshot in a coding, from `from` on: the stream begins there, or at 0 when the relay says so. */
  async snapshot(
    manifest: SnapshotManifest,
    coding: string,
    from: number,
    signal: AbortSignal,
    transfer: Transfer,
  ): Promise<{ from: number; chunks: AsyncIterable<Buffer> }> {
    const { epoch, seq } = manifest.cursor;
    const path = PATHS.snapshotFile(this.address.feed, epoch, manifest.scopes, seq);
    const headers: Record<string, string> = from > 0 ? { range: `bytes=${from}-` } : {};
    const answer = await this.#get(path, { query: { coding }, headers, signal, transfer });
    if (answer.status !== 200 && answer.status !== 206) return this.#refuse(answer, signal);
    if (answer.headers['content-type'] !== 'application/octet-stream') {
      answer.data.destroy();
      throw new RelayError('relay_not_tidemark', { relay: this.#host });
    }
    return { from: answer.status === 206 ? from : 0, chunks: this.#chunks(answer.data, signal, transfer) };
  }

  get #host(): string {
    return new URL(this.address.relayUrl).host;
  }

  async #json<T extends z.ZodType>(shape: T, path: string, request: Request): Promise<z.output<T>> {
    const answer = await this.#get(path, request);
    if (answer.status !== 200) return this.#refuse(answer, request.signal);
    const body = await this.#collect(answer.data, JSON_BYTES, request.signal);
    const parsed = shape.safeParse(parse(body));
    if (!parsed.success) throw new RelayError('relay_not_tidemark', { relay: this.#host }, { cause: parsed.error });
    return parsed.data;
  }

  async #refuse(answer: AxiosResponse<Readable>, signal: AbortSignal): Promise<never> {
    const body = await this.#collect(answer.data, JSON_BYTES, signal);
    throw refused(this.#host, { status: answer.status, headers: answer.headers, body });
  }

  /** Sends a request and waits until its answer begins. */
  async #get(path: string, request: Request): Promise<AxiosResponse<Readable>> {
    const { answerMs = ANSWER_MS, signal, transfer } = request;
    // The limit is for the answer's beginning: its body, on a slow link, may take as long as it keeps coming.
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
      if (late.signal.aborted) throw new RelayError('relay_timeout', { relay: this.#host });
      throw noAnswer(this.#host, error);
    } finally {
      clearTimeout(timer);
      transfer?.deadline(null);
    }
  }

  async #collect(stream: Readable, most: number, signal: AbortSignal, transfer?: Transfer): Promise<Buffer> {
    const parts: Buffer[] = [];
    let size = 0;
    for await (const chunk of this.#chunks(stream, signal, transfer)) {
      size += chunk.length;
      if (size > most) throw new RelayError('relay_not_tidemark', { relay: this.#host });
      parts.push(chunk);
    }
    return parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts);
  }

  /** The chunks of an answer. One that pauses too long, or ends early, throws. */
  async *#chunks(stream: Readable, signal: AbortSignal, transfer?: Transfer): AsyncGenerator<Buffer> {
    let idle = false;
    const timer = setTimeout(() => {
      idle = true;
      stream.destroy();
    }, IDLE_MS);
    const abort = () => stream.destroy();
    signal.addEventListener('abort', abort);
    try {
      transfer?.deadline(Date.now() + IDLE_MS);
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        timer.refresh();
        transfer?.received(chunk.length);
        transfer?.deadline(Date.now() + IDLE_MS);
        yield chunk;
      }
      if (signal.aborted) throw new TidemarkError('cancelled');
      if (idle) throw new RelayError('relay_timeout', { relay: this.#host });
    } catch (error) {
      if (signal.aborted) throw new TidemarkError('cancelled');
      if (idle) throw new RelayError('relay_timeout', { relay: this.#host });
      if (error instanceof TidemarkError) throw error;
      throw noAnswer(this.#host, error);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      transfer?.deadline(null);
      stream.destroy();
    }
  }
}
