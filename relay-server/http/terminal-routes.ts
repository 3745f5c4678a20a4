import { createReadStream } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import {
  FeedName,
  HEADERS,
  RelayStatus,
  SnapshotManifest,
  SnapshotQuery,
  StatusQuery,
  TableList,
  TablesQuery,
  TransactionList,
  TransactionsQuery,
} from '@tidemark/protocol/api';
import { type Cursor, Epoch, type PageStart, parseStart, Seq } from '@tidemark/protocol/cursor';
import { TidemarkError } from '@tidemark/protocol/errors';
import { EVERYONE, ScopeSet } from '@tidemark/protocol/page';
import { z } from 'zod';
import { chooseCoding, type ReadyPage } from '../pages/page-cache.ts';
import type { EntitledSet } from '../routing/filters.ts';
import { type Call, route } from './route.ts';

const Feed = z.object({ feed: FeedName });
const SeqText = z.coerce.number().pipe(Seq);

/** May be kept by any cache; a cache shared between terminals must keep them apart by their key. */
const FOREVER = { 'cache-control': 'public, max-age=31536000, immutable', vary: 'Accept-Encoding, Authorization' };

function cursorOf(query: { epoch?: Epoch | undefined; seq?: Seq | undefined }): Cursor | null {
  return query.epoch !== undefined && query.seq !== undefined ? { epoch: query.epoch, seq: query.seq } : null;
}

function startOf(text: string): PageStart {
  const start = parseStart(text);
  if (!start) throw new TidemarkError('request_invalid', { detail: `start ${text} is not a page start` });
  return start;
}

function sendPage(response: ServerResponse, page: ReadyPage, more: Record<string, string> = {}): void {
  response.writeHead(200, {
    ...FOREVER,
    ...more,
    'content-type': 'application/x-ndjson',
    'content-length': page.bytes.length,
    ...(page.coding === 'identity' ? {} : { 'content-encoding': page.coding }),
  });
  response.end(page.bytes);
}

/** The bearer's set of scopes. Throws scope_denied when the request names another. */
export function setOf({ feed, bearer }: Pick<Call<unknown>, 'feed' | 'bearer'>, named?: string): EntitledSet {
  const set = feed.setOf(bearer.attributes);
  if (named !== undefined && named !== set.id) throw new TidemarkError('scope_denied');
  return set;
}

/** What a terminal asks. */
export const TERMINAL_ROUTES = [
  route({
    method: 'GET',
    path: '/v1/feeds/:feed/status',
    role: 'terminal',
    input: Feed.extend(StatusQuery.shape),
    output: RelayStatus,
    summary: 'Head, horizon, what this terminal lacks, what brings it to the head, and how old the feed is.',
    async handle({ feed, bearer, input, signal }) {
      const cursor = cursorOf(input);
      const set = setOf({ feed, bearer });
      const holds = input.scopes ?? EVERYONE;
      if (input.wait > 0 && cursor?.epoch === feed.head.epoch && holds === set.id)
        await feed.waitFor(set, cursor.seq, input.wait * 1000, signal);
      return feed.status(set, cursor, holds);
    },
  }),
  route({
    method: 'GET',
    path: '/v1/feeds/:feed/pages/:epoch/:scopes/:start/:target',
    role: 'terminal',
    input: Feed.extend({ epoch: Epoch, scopes: ScopeSet, start: z.string(), target: SeqText }),
    output: null,
    summary: 'The page of this name: NDJSON, see docs/protocol.md. It never changes.',
    async handle({ feed, bearer, input, request, response }) {
      const start = startOf(input.start);
      const set = setOf({ feed, bearer }, input.scopes);
      const coding = chooseCoding(request.headers['accept-encoding']);
      sendPage(response, await feed.page(set, input.epoch, start, input.target, coding));
    },
  }),
  route({
    method: 'GET',
    path: '/v1/feeds/:feed/squashed/:epoch/:scopes/:start/:target',
    role: 'terminal',
    input: Feed.extend({ epoch: Epoch, scopes: ScopeSet, start: z.string(), target: SeqText }),
    output: null,
    summary:
      'The squashed page of this name: all from start to target as one transaction, each row once. 503 squash_building while it is made, 409 squash_larger when it would not be smaller.',
    async handle({ feed, bearer, input, request, response }) {
      const start = startOf(input.start);
      const set = setOf({ feed, bearer }, input.scopes);
      const coding = chooseCoding(request.headers['accept-encoding']);
      const { of, ...page } = await feed.squashedPage(set, input.epoch, start, input.target, coding);
      sendPage(response, page, { [HEADERS.squashed]: `${of.changes} ${of.bytes}` });
    },
  }),
  route({
    method: 'GET',
    path: '/v1/feeds/:feed/transactions',
    role: 'terminal',
    input: Feed.extend(TransactionsQuery.shape),
    output: TransactionList,
    summary: 'Transactions after a seq, oldest first.',
    handle: ({ feed, bearer, input }) =>
      feed.transactions(setOf({ feed, bearer }), input.epoch, input.after, input.limit),
  }),
  route({
    method: 'GET',
    path: '/v1/feeds/:feed/tables',
    role: 'terminal',
    input: Feed.extend(TablesQuery.shape),
    output: TableList,
    summary: 'Tables of the feed, and what of each the terminal lacks.',
    handle: ({ feed, bearer, input }) => feed.tables(setOf({ feed, bearer }), cursorOf(input)),
  }),
  route({
    method: 'GET',
    path: '/v1/feeds/:feed/snapshot',
    role: 'terminal',
    input: Feed.extend(SnapshotQuery.shape),
    output: SnapshotManifest,
    summary: 'The snapshot to download; 503 snapshot_building while it is made.',
    handle: ({ feed, bearer, input }) =>
      feed.snapshot(setOf({ feed, bearer }), input.epoch === feed.head.epoch ? input.from : undefined),
  }),
  route({
    method: 'GET',
    path: '/v1/feeds/:feed/snapshots/:epoch/:scopes/:seq',
    role: 'terminal',
    input: Feed.extend({
      epoch: Epoch,
      scopes: ScopeSet,
      seq: SeqText,
      coding: z.enum(['identity', 'gzip', 'zstd']).default('identity'),
    }),
    output: null,
    summary: 'The bytes of a snapshot in a coding; takes Range.',
    async handle(call) {
      const { feed, input } = call;
      const { file, bytes, sha256 } = feed.snapshotFile(
        setOf(call, input.scopes),
        input.epoch,
        input.seq,
        input.coding,
      );
      await sendFile(call, call.response, file, bytes, `"${sha256}"`);
    },
  }),
];

/** Sends a file, or the part of it that Range asks for. */
async function sendFile(
  { request, signal }: Call<unknown>,
  response: ServerResponse,
  file: string,
  bytes: number,
  etag: string,
): Promise<void> {
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
    // The caller went away: it will ask for the rest. What is not that is a fault.
    if (!signal.aborted && (error as NodeJS.ErrnoException).code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
  }
}
