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
import type { ScopeSet } from '@tidemark/protocol/page';
import { PATHS } from '@tidemark/protocol/paths';
import { type VerifiedPage, verifyPage } from '@tidemark/replica/page-reader';
import type { z } from 'zod';
import type { PullPlan } from '../machine/state.ts';
import { parseJson, RelayError } from './relay-errors.ts';
import {
  ACCEPTED_CODINGS,
  ANSWER_MS,
  type Answer,
  MAX_JSON_BYTES,
  MAX_PAGE_BYTES,
  type RelayAddress,
  RelayTransport,
  type Request,
  type Transfer,
} from './relay-transport.ts';

/**
 * How long the relay may compute before it begins an answer of a comparison, ms. The relay's own limit is shorter;
 * after that it asks the terminal to retry.
 */
const COMPARE_MS = 30_000;

/**
 * The requests of a terminal to its relay. Each method sends one request and parses the answer. Throws RelayErrors, or
 * `cancelled` when the signal aborts.
 */
export class RelayClient {
  readonly #feed: string;
  readonly #transport: RelayTransport;

  constructor(address: RelayAddress) {
    this.#feed = address.feed;
    this.#transport = new RelayTransport(address);
  }

  close(): void {
    this.#transport.close();
  }

  /**
   * Requests the status. `scopes`: the replica's set of scopes. `waitS`: how long the relay may wait for changes (long
   * poll), in seconds.
   */
  status(
    { cursor, scopes }: { cursor: Cursor | null; scopes: ScopeSet | null },
    waitS: number,
    signal: AbortSignal,
  ): Promise<RelayStatus> {
    const query = {
      epoch: cursor?.epoch,
      seq: cursor?.seq,
      scopes: scopes ?? undefined,
      wait: waitS === 0 ? undefined : waitS,
    };
    return this.#json(RelayStatus, PATHS.status(this.#feed), { query, signal, answerMs: ANSWER_MS + waitS * 1000 });
  }

  /** Requests the transactions after a seq, in the scopes of a terminal at `cursor`. */
  async transactions(cursor: Cursor, after: Seq, limit: number, signal: AbortSignal): Promise<TransactionList> {
    const query = { epoch: cursor.epoch, after, limit };
    const list = await this.#json(TransactionList, PATHS.transactions(this.#feed), { query, signal });
    let last: number = after;
    for (const { seq } of list.transactions) {
      // The next request would begin at the last transaction of this list.
      if (seq <= last) throw new TidemarkError('relay_no_progress');
      last = seq;
    }
    return list;
  }

  tables(cursor: Cursor | null, signal: AbortSignal): Promise<TableList> {
    const query = { epoch: cursor?.epoch, seq: cursor?.seq };
    return this.#json(TableList, PATHS.tables(this.#feed), { query, signal });
  }

  /** Requests the manifest of the snapshot to download. With `from`, the snapshot must not be older than that seq. */
  manifest(from: Cursor | null, signal: AbortSignal): Promise<SnapshotManifest> {
    const query = { epoch: from?.epoch, from: from?.seq };
    return this.#json(SnapshotManifest, PATHS.snapshot(this.#feed), { query, signal });
  }

  /** Requests a page and verifies it. `fresh`: bypasses caches. Also throws `page_corrupt` and `page_invalid`. */
  async page(
    plan: PullPlan,
    start: PageStart,
    fresh: boolean,
    signal: AbortSignal,
    transfer: Transfer,
  ): Promise<VerifiedPage> {
    const compacted = plan.kind === 'compacted';
    const path = (compacted ? PATHS.squashed : PATHS.page)(
      this.#feed,
      plan.epoch,
      plan.scopes,
      formatStart(start),
      plan.target,
    );
    const headers = { 'accept-encoding': ACCEPTED_CODINGS, ...(fresh ? { 'cache-control': 'no-cache' } : {}) };
    const answer = await this.#expect('application/x-ndjson', path, { headers, signal, transfer });
    const totals = /^(\d{1,15}) (\d{1,15})$/.exec(String(answer.headers[HEADERS.squashed]));
    if (compacted && totals) transfer.compacted?.({ changes: Number(totals[1]), bytes: Number(totals[2]) });
    return verifyPage(await this.#transport.body(answer, MAX_PAGE_BYTES, signal, transfer));
  }

  /** Requests the digests of ranges of a snapshot's rows. */
  async digests(
    snapshot: SnapshotManifest,
    asks: DigestRequest['asks'],
    signal: AbortSignal,
    transfer: Transfer,
  ): Promise<DigestAnswer> {
    const path = PATHS.digests(this.#feed, snapshot.cursor.epoch, snapshot.scopes, snapshot.cursor.seq);
    return this.#parse(DigestAnswer, await this.#post(path, { asks }, 'application/json', signal, transfer));
  }

  /** Requests rows and returns the bytes of the answer. The caller verifies and parses them. */
  rows(
    snapshot: SnapshotManifest,
    asks: RowsRequest['asks'],
    signal: AbortSignal,
    transfer: Transfer,
  ): Promise<Buffer> {
    const path = PATHS.rows(this.#feed, snapshot.cursor.epoch, snapshot.scopes, snapshot.cursor.seq);
    return this.#post(path, { asks }, 'application/x-ndjson', signal, transfer);
  }

  /** Requests a snapshot in one coding. The bytes begin at `from` if the relay can resume there, otherwise at 0. */
  async snapshot(
    manifest: SnapshotManifest,
    coding: string,
    from: number,
    signal: AbortSignal,
    transfer: Transfer,
  ): Promise<{ from: number; chunks: AsyncIterable<Buffer> }> {
    const { epoch, seq } = manifest.cursor;
    const path = PATHS.snapshotFile(this.#feed, epoch, manifest.scopes, seq);
    const headers: Record<string, string> = from > 0 ? { range: `bytes=${from}-` } : {};
    const answer = await this.#transport.send(path, { query: { coding }, headers, signal, transfer });
    if (answer.status !== 200 && answer.status !== 206) return this.#transport.refuse(answer, signal);
    if (answer.headers['content-type'] !== 'application/octet-stream') {
      answer.data.destroy();
      throw this.#notTidemark();
    }
    return { from: answer.status === 206 ? from : 0, chunks: this.#transport.chunks(answer, signal, transfer) };
  }

  async #json<T extends z.ZodType>(shape: T, path: string, request: Request): Promise<z.output<T>> {
    const answer = await this.#transport.send(path, request);
    if (answer.status !== 200) return this.#transport.refuse(answer, request.signal);
    return this.#parse(shape, await this.#transport.plainBody(answer, MAX_JSON_BYTES, request.signal));
  }

  async #post(path: string, body: object, type: string, signal: AbortSignal, transfer: Transfer): Promise<Buffer> {
    const headers = { 'accept-encoding': ACCEPTED_CODINGS, 'content-type': 'application/json' };
    const answer = await this.#expect(type, path, { headers, signal, transfer, body, answerMs: COMPARE_MS });
    return this.#transport.body(answer, MAX_PAGE_BYTES, signal, transfer);
  }

  /** Sends a request, and returns when a successful answer of this content type begins. */
  async #expect(type: string, path: string, request: Request): Promise<Answer> {
    const answer = await this.#transport.send(path, request);
    if (answer.status !== 200) return this.#transport.refuse(answer, request.signal);
    if (!String(answer.headers['content-type']).startsWith(type)) throw this.#notTidemark();
    return answer;
  }

  #parse<T extends z.ZodType>(shape: T, body: Buffer): z.output<T> {
    const parsed = shape.safeParse(parseJson(body));
    if (!parsed.success) throw this.#notTidemark(parsed.error);
    return parsed.data;
  }

  #notTidemark(cause?: unknown): RelayError {
    return new RelayError('relay_not_tidemark', { relay: this.#transport.host }, { cause });
  }
}
