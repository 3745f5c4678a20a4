import { DigestAnswer, DigestRequest, FeedName, RowsRequest } from '@tidemark/protocol/api';
import { Epoch, Seq } from '@tidemark/protocol/cursor';
import { TidemarkError } from '@tidemark/protocol/errors';
import { ScopeSet } from '@tidemark/protocol/page';
import { PATHS } from '@tidemark/protocol/paths';
import { z } from 'zod';
import { json, readBody } from '../body.ts';
import { codingOf } from '../content-coding.ts';
import { checkRanges } from '../key-ranges.ts';
import { NEVER_CACHED, sendBytes } from '../send.ts';
import { entitledSet } from './entitled-set.ts';
import { bytesRoute, type Call } from './route.ts';

/** Routes for a terminal that verifies its replica against a snapshot. */

/** Maximum size of a request body, in bytes: enough for 256 ranges with long keys. */
const BODY_LIMIT = 1024 * 1024;

/** Maximum number of mistakes that a refusal names. */
const NAMED_MISTAKES = 5;

const SnapshotInput = z.object({ feed: FeedName, epoch: Epoch, scopes: ScopeSet, seq: z.coerce.number().pipe(Seq) });
type SnapshotCall = Call<z.output<typeof SnapshotInput>>;

export const DIGEST_ROUTES = [
  bytesRoute({
    method: 'POST',
    path: PATHS.digests,
    role: 'terminal',
    input: SnapshotInput,
    output: { type: 'application/json', schema: DigestAnswer },
    summary: 'Returns digests of row ranges of a snapshot. Answers 503 relay_busy during a long computation.',
    async handle(call) {
      const request = await bodyOf(call, DigestRequest);
      const answer = await call.feed.digester.digests(fileOf(call), request, codingOf(call.request));
      sendBytes(call.response, 'application/json', answer, NEVER_CACHED);
    },
  }),
  bytesRoute({
    method: 'POST',
    path: PATHS.rows,
    role: 'terminal',
    input: SnapshotInput,
    output: { type: 'application/x-ndjson' },
    summary: 'Returns the rows in ranges of a snapshot as NDJSON. See docs/protocol.md.',
    async handle(call) {
      const request = await bodyOf(call, RowsRequest);
      const answer = await call.feed.digester.rows(fileOf(call), request, codingOf(call.request));
      sendBytes(call.response, 'application/x-ndjson', answer, NEVER_CACHED);
    },
  }),
];

/** Returns the file of the requested snapshot. Throws scope_denied, epoch_changed, snapshot_gone. */
function fileOf(call: SnapshotCall): string {
  const { epoch, scopes, seq } = call.input;
  return call.feed.snapshots.file(entitledSet(call, scopes), epoch, seq, 'identity').file;
}

/** Reads and parses the body. Throws request_invalid, body_too_large. */
async function bodyOf<T extends z.ZodType>({ request }: SnapshotCall, schema: T): Promise<z.output<T>> {
  const body = json(await readBody(request, BODY_LIMIT));
  checkRanges(body);
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const named = parsed.error.issues.slice(0, NAMED_MISTAKES);
  const detail = named.map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`).join('; ');
  throw new TidemarkError('request_invalid', { detail });
}
