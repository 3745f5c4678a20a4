import { DigestAnswer, DigestRequest, FeedName, RowsRequest } from '@tidemark/protocol/api';
import { Epoch, Seq } from '@tidemark/protocol/cursor';
import { TidemarkError } from '@tidemark/protocol/errors';
import { ScopeSet } from '@tidemark/protocol/page';
import { z } from 'zod';
import { type Coding, chooseCoding, type ReadyPage } from '../pages/page-cache.ts';
import { json, readBody } from './body.ts';
import { type Call, route } from './route.ts';
import { setOf } from './terminal-routes.ts';

/** A request is at most this large, bytes. */
const BODY_LIMIT = 1024 * 1024;

const Snapshot = z.object({ feed: FeedName, epoch: Epoch, scopes: ScopeSet, seq: z.coerce.number().pipe(Seq) });
type SnapshotCall = Call<z.output<typeof Snapshot>>;

/** What a terminal asks that compares itself with a snapshot. */
export const COMPARE_ROUTES = [
  route({
    method: 'POST',
    path: '/v1/feeds/:feed/snapshots/:epoch/:scopes/:seq/digests',
    role: 'terminal',
    input: Snapshot,
    output: DigestAnswer,
    summary: 'Checksums of ranges of the rows of a snapshot; 503 relay_busy while they are made.',
    async handle(call) {
      const request = await bodyOf(call, DigestRequest);
      send(call, 'application/json', await call.feed.digester.digests(fileOf(call), request, codingOf(call)));
    },
  }),
  route({
    method: 'POST',
    path: '/v1/feeds/:feed/snapshots/:epoch/:scopes/:seq/rows',
    role: 'terminal',
    input: Snapshot,
    output: null,
    summary: 'Rows of ranges of a snapshot: NDJSON, see docs/protocol.md.',
    async handle(call) {
      const request = await bodyOf(call, RowsRequest);
      send(call, 'application/x-ndjson', await call.feed.digester.rows(fileOf(call), request, codingOf(call)));
    },
  }),
];

/** The snapshot that is named, if this terminal may have it. Throws scope_denied, epoch_changed, snapshot_gone. */
function fileOf(call: SnapshotCall): string {
  const { epoch, scopes, seq } = call.input;
  return call.feed.snapshotFile(setOf(call, scopes), epoch, seq, 'identity').file;
}

async function bodyOf<T extends z.ZodType>({ request }: SnapshotCall, shape: T): Promise<z.output<T>> {
  const parsed = shape.safeParse(json(await readBody(request, BODY_LIMIT)));
  if (parsed.success) return parsed.data;
  const detail = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`).join('; ');
  throw new TidemarkError('request_invalid', { detail });
}

const codingOf = ({ request }: SnapshotCall): Coding => chooseCoding(request.headers['accept-encoding']);

function send({ response }: SnapshotCall, type: string, { bytes, coding }: ReadyPage): void {
  response.writeHead(200, {
    'content-type': type,
    'content-length': bytes.length,
    'cache-control': 'no-store',
    ...(coding === 'identity' ? {} : { 'content-encoding': coding }),
  });
  response.end(bytes);
}
