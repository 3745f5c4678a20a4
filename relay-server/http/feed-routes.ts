import { BatchAnswer, FeedName, HEADERS, SessionAnswer, SessionRequest } from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import { PROTOCOL_VERSION } from '@tidemark/protocol/page';
import { z } from 'zod';
import { json, readBody } from './body.ts';
import { route } from './route.ts';

/** A batch is at most this large; feeds send far less. */
const BATCH_LIMIT = 32 * 1024 * 1024;
const SESSION_LIMIT = 64 * 1024;

const Feed = z.object({ feed: FeedName });

/** What a master-feed asks. */
export const FEED_ROUTES = [
  route({
    method: 'POST',
    path: '/v1/feeds/:feed/session',
    role: 'feed',
    input: Feed,
    output: SessionAnswer,
    summary: 'Begins a session of the feed; ends the one before.',
    async handle({ feed, request }) {
      const parsed = SessionRequest.safeParse(json(await readBody(request, SESSION_LIMIT)));
      if (!parsed.success) throw new TidemarkError('request_invalid', { detail: z.prettifyError(parsed.error) });
      if (parsed.data.protocol !== PROTOCOL_VERSION) throw new TidemarkError('protocol_unsupported');
      return feed.session(parsed.data);
    },
  }),
  route({
    method: 'POST',
    path: '/v1/feeds/:feed/batches',
    role: 'feed',
    input: Feed,
    output: BatchAnswer,
    summary: 'Takes a batch; answers when all that it ends is on disk.',
    async handle({ feed, request }) {
      const session = request.headers[HEADERS.session];
      const number = Number(request.headers[HEADERS.batch]);
      if (typeof session !== 'string')
        throw new TidemarkError('request_invalid', { detail: `header ${HEADERS.session} is missing` });
      if (!Number.isSafeInteger(number) || number < 1)
        throw new TidemarkError('request_invalid', { detail: `header ${HEADERS.batch} is not a number from 1` });
      return feed.batch(session, number, await readBody(request, BATCH_LIMIT));
    },
  }),
];
