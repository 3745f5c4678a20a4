import {
  FeedName,
  HEADERS,
  RelayStatus,
  SnapshotFileQuery,
  SnapshotManifest,
  SnapshotQuery,
  StatusQuery,
  TableList,
  TablesQuery,
  TransactionList,
  TransactionsQuery,
} from '@tidemark/protocol/api';
import { type Cursor, Epoch, parseStart, Seq } from '@tidemark/protocol/cursor';
import { TidemarkError } from '@tidemark/protocol/errors';
import { EVERYONE, ScopeSet } from '@tidemark/protocol/page';
import { PATHS } from '@tidemark/protocol/paths';
import { z } from 'zod';
import type { PageName } from '../../pages/feed-pages.ts';
import type { Asker } from '../../pages/queue/page-queue.ts';
import type { SnapshotFile } from '../../snapshots/snapshot-folder.ts';
import { codingOf } from '../content-coding.ts';
import { FOREVER, sendPage } from '../send.ts';
import { entitledSet } from './entitled-set.ts';
import { bytesRoute, type Call, jsonRoute, type Route } from './route.ts';
import { sendSnapshotFile } from './snapshot-file-answer.ts';
import { statusAnswer } from './status-answer.ts';

/** Routes for terminals that catch up. Each handler checks the request against the entitlement of its key. */

const FeedInput = z.object({ feed: FeedName });
const SeqText = z.coerce.number().pipe(Seq);

/** Returns the cursor of a query, or null if its epoch or seq is missing. */
function cursorOf(query: { epoch?: Epoch | undefined; seq?: Seq | undefined }): Cursor | null {
  return query.epoch !== undefined && query.seq !== undefined ? { epoch: query.epoch, seq: query.seq } : null;
}

const PageInput = FeedInput.extend({ epoch: Epoch, scopes: ScopeSet, start: z.string(), target: SeqText });

/** Parses the page name in a path. Throws request_invalid, scope_denied. */
function pageName(call: Call<z.output<typeof PageInput>>): PageName {
  const { epoch, scopes, start: text, target } = call.input;
  const start = parseStart(text);
  if (!start) throw new TidemarkError('request_invalid', { detail: `start ${text} is not a page start` });
  return { set: entitledSet(call, scopes), epoch, start, target };
}

const askerOf = (call: Call<unknown>): Asker => ({ key: call.bearer.name, signal: () => call.signal });

/** Returns the routes. The status answer contains the name and version of `relay`. */
export const terminalRoutes = (relay: { name: string; version: string }): Route[] => [
  jsonRoute({
    method: 'GET',
    path: PATHS.status,
    role: 'terminal',
    input: FeedInput.extend(StatusQuery.shape),
    output: RelayStatus,
    summary:
      'Returns the head, the horizon, the backlog of this terminal, the plan to catch up, and the lag of the feed.',
    async handle(call) {
      const { feed, input } = call;
      const cursor = cursorOf(input);
      const set = entitledSet(call);
      const holds = input.scopes ?? EVERYONE;
      if (input.wait > 0 && cursor?.epoch === feed.row.epoch && holds === set.id)
        await feed.waitForNews(call.bearer.name, set, cursor.seq, input.wait * 1000, call.signal);
      return statusAnswer(relay, feed.status(set, cursor, holds));
    },
  }),
  bytesRoute({
    method: 'GET',
    path: PATHS.page,
    role: 'terminal',
    input: PageInput,
    output: { type: 'application/x-ndjson' },
    summary: 'Returns the page with this name as NDJSON. It never changes. See docs/protocol.md.',
    async handle(call) {
      const held = await call.feed.pages.page(pageName(call), codingOf(call.request), askerOf(call));
      sendPage(call.response, held, FOREVER);
    },
  }),
  bytesRoute({
    method: 'GET',
    path: PATHS.squashed,
    role: 'terminal',
    input: PageInput,
    output: { type: 'application/x-ndjson' },
    summary:
      'Returns the compacted page with this name: the range from start to target as one transaction that contains each row once. Answers 503 squash_building during the build, and 409 squash_larger if the result would not be smaller.',
    async handle(call) {
      const held = await call.feed.pages.compactedPage(pageName(call), codingOf(call.request), askerOf(call));
      const totals = held ? { [HEADERS.squashed]: `${held.of.changes} ${held.of.bytes}` } : {};
      sendPage(call.response, held, { ...FOREVER, ...totals });
    },
  }),
  jsonRoute({
    method: 'GET',
    path: PATHS.transactions,
    role: 'terminal',
    input: FeedInput.extend(TransactionsQuery.shape),
    output: TransactionList,
    summary: 'Lists transactions after a seq, oldest first.',
    handle: (call) => {
      const { epoch, after, limit } = call.input;
      return call.feed.transactions(entitledSet(call), epoch, after, limit);
    },
  }),
  jsonRoute({
    method: 'GET',
    path: PATHS.tables,
    role: 'terminal',
    input: FeedInput.extend(TablesQuery.shape),
    output: TableList,
    summary: 'Lists the tables of the feed, with the number of changes that the terminal is missing.',
    handle: (call) => call.feed.tables(entitledSet(call), cursorOf(call.input)),
  }),
  jsonRoute({
    method: 'GET',
    path: PATHS.snapshot,
    role: 'terminal',
    input: FeedInput.extend(SnapshotQuery.shape),
    output: SnapshotManifest,
    summary: 'Returns the manifest of the snapshot to download. Answers 503 snapshot_building during the build.',
    handle: (call) => {
      const { feed, input, bearer } = call;
      const from = input.epoch === feed.row.epoch ? input.from : undefined;
      return feed.snapshots.current(entitledSet(call), bearer.name, from);
    },
  }),
  bytesRoute({
    method: 'GET',
    path: PATHS.snapshotFile,
    role: 'terminal',
    input: FeedInput.extend({
      epoch: Epoch,
      scopes: ScopeSet,
      seq: SeqText,
      ...SnapshotFileQuery.shape,
    }),
    output: { type: 'application/octet-stream' },
    summary: 'Returns the file of a snapshot in a coding. Supports the Range header.',
    async handle(call) {
      const { epoch, scopes, seq, coding } = call.input;
      const send = (file: SnapshotFile) => sendSnapshotFile(call, file);
      await call.feed.snapshots.download(entitledSet(call, scopes), epoch, seq, coding, send);
    },
  }),
];
