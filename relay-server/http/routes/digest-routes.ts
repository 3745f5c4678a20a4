import { DigestAnswer, FeedName } from '@tidemark/protocol/api';
import { Epoch, Seq } from '@tidemark/protocol/cursor';
import { TidemarkError } from '@tidemark/protocol/errors';
import { ScopeSet } from '@tidemark/protocol/page';
import { PATHS } from '@tidemark/protocol/paths';
import { z } from 'zod';
import type { DigestTask } from '../../digests/digest-calls.ts';
import type { Digester } from '../../digests/digester.ts';
import { codingOf } from '../content-coding.ts';
import { NEVER_CACHED, sendBytes } from '../send.ts';
import { entitledSet } from './entitled-set.ts';
import { bytesRoute, type Call, type Route } from './route.ts';

/** Routes for a terminal that verifies its replica against a snapshot. The digester parses the bodies. */

/** Maximum size of a request body, in bytes: enough for 256 ranges with long keys. */
const BODY_LIMIT = 1024 * 1024;

const SnapshotInput = z.object({ feed: FeedName, epoch: Epoch, scopes: ScopeSet, seq: z.coerce.number().pipe(Seq) });
type SnapshotCall = Call<z.output<typeof SnapshotInput>>;

export const digestRoutes = (digester: Digester): Route[] => [
  bytesRoute({
    method: 'POST',
    path: PATHS.digests,
    role: 'terminal',
    input: SnapshotInput,
    output: { type: 'application/json', schema: DigestAnswer },
    summary: 'Returns digests of row ranges of a snapshot. Answers 503 relay_busy during a long computation.',
    handle: (call) => answer(digester, 'digests', 'application/json', call),
  }),
  bytesRoute({
    method: 'POST',
    path: PATHS.rows,
    role: 'terminal',
    input: SnapshotInput,
    output: { type: 'application/x-ndjson' },
    summary: 'Returns the rows in ranges of a snapshot as NDJSON. See docs/protocol.md.',
    handle: (call) => answer(digester, 'rows', 'application/x-ndjson', call),
  }),
];

/**
 * Sends the answer of the digester, or nothing if the caller has disconnected. Throws body_too_large, scope_denied,
 * epoch_changed, snapshot_gone, request_invalid, relay_busy.
 */
async function answer(digester: Digester, kind: DigestTask['kind'], type: string, call: SnapshotCall): Promise<void> {
  const { request, response, bearer, signal } = call;
  const body = await call.body(BODY_LIMIT);
  const task = { kind, file: fileOf(call), body, coding: codingOf(request) };
  const found = await digester.answer(task, `${bearer.feed}/${bearer.name}`, signal);
  if (found) sendBytes(response, type, found, NEVER_CACHED);
  // The relay is stopping.
  else if (!response.destroyed) throw new TidemarkError('relay_busy');
}

/** Returns the file of the requested snapshot. Throws scope_denied, epoch_changed, snapshot_gone. */
function fileOf(call: SnapshotCall): string {
  const { epoch, scopes, seq } = call.input;
  return call.feed.snapshots.file(entitledSet(call, scopes), epoch, seq, 'identity').file;
}
