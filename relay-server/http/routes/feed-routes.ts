import { BatchAnswer, FeedName, HEADERS, SessionAnswer, SessionRequest } from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import { BATCH_BYTES, PROTOCOL_VERSION } from '@tidemark/protocol/page';
import { PATHS } from '@tidemark/protocol/paths';
import { FeedReport, FeedTroubles, REPORTED_TABLES } from '@tidemark/protocol/trouble';
import { z } from 'zod';
import type { Feed } from '../../feed/feed.ts';
import { listsTooMany } from '../../freshness/troubles.ts';
import type { PushEndpoint } from '../../log/log-source.ts';
import { json } from '../body.ts';
import { mistakesIn } from '../refusals/refusal-body.ts';
import { jsonRoute } from './route.ts';
import { troublesAnswer } from './status-answer.ts';

/** Routes for feeds. The relay reads a body only after it has authenticated the request. */

const SESSION_LIMIT = 64 * 1024;
/** Maximum size of a report, in bytes. */
const REPORT_LIMIT = 1024 * 1024;
/** Maximum number of values in a session and in a report. Parsing more of them would block the event loop. */
const SESSION_VALUES = 1_000;
const REPORT_VALUES = 10_000;

const FeedInput = z.object({ feed: FeedName });

/** Returns the push endpoint of a feed. Throws not_found if this relay does not receive the feed's batches. */
function pushTo(feed: Feed): PushEndpoint {
  if (!feed.log.push) throw new TidemarkError('not_found');
  return feed.log.push;
}

/** Parses the header {@link HEADERS.sampled}. Throws request_invalid. */
function sampledMsOf(text: string | string[] | undefined): number | null {
  if (text === undefined) return null;
  if (typeof text === 'string' && /^-?\d{1,12}$/.test(text)) return Number(text);
  throw new TidemarkError('request_invalid', { detail: `header ${HEADERS.sampled} is not a number of milliseconds` });
}

/** Parses a report. Throws request_invalid. */
function reportOf(body: unknown): FeedReport {
  if (listsTooMany(body))
    throw new TidemarkError('request_invalid', { detail: `tables: more than ${REPORTED_TABLES} entries` });
  const parsed = FeedReport.safeParse(body);
  if (parsed.success) return parsed.data;
  throw mistakesIn(parsed.error, 'body');
}

export const FEED_ROUTES = [
  jsonRoute({
    method: 'POST',
    path: PATHS.session,
    role: 'feed',
    input: FeedInput,
    output: SessionAnswer,
    summary: 'Begins a session of the feed, which supersedes the previous one.',
    async handle({ feed, body }) {
      const parsed = SessionRequest.safeParse(json(await body(SESSION_LIMIT), SESSION_VALUES));
      if (!parsed.success) throw mistakesIn(parsed.error, 'body');
      if (parsed.data.protocol !== PROTOCOL_VERSION) throw new TidemarkError('protocol_unsupported');
      return pushTo(feed).session(parsed.data);
    },
  }),
  jsonRoute({
    method: 'POST',
    path: PATHS.batches,
    role: 'feed',
    input: FeedInput,
    output: BatchAnswer,
    summary: 'Applies a batch. Answers when all transactions that end in it are on disk.',
    async handle({ feed, request, body }) {
      const session = request.headers[HEADERS.session];
      const number = Number(request.headers[HEADERS.batch]);
      const times = { arrivedAt: feed.moment(), sampledMs: sampledMsOf(request.headers[HEADERS.sampled]) };
      if (typeof session !== 'string')
        throw new TidemarkError('request_invalid', { detail: `header ${HEADERS.session} is missing` });
      if (!Number.isSafeInteger(number) || number < 1)
        throw new TidemarkError('request_invalid', { detail: `header ${HEADERS.batch} is not a number from 1` });
      return pushTo(feed).batch(session, number, await body(BATCH_BYTES), times);
    },
  }),
  jsonRoute({
    method: 'POST',
    path: PATHS.troubles,
    role: 'feed',
    input: FeedInput,
    output: z.object({}),
    summary: 'Replaces the last report of the feed: its fault, and the tables that do not follow the master.',
    async handle({ feed, body }) {
      feed.troubles.put(reportOf(json(await body(REPORT_LIMIT), REPORT_VALUES)));
      return {};
    },
  }),
  jsonRoute({
    method: 'GET',
    path: PATHS.troubles,
    role: 'admin',
    input: FeedInput,
    output: FeedTroubles,
    summary: "Returns the feed's last report with its details, and when it arrived.",
    handle: ({ feed }) => troublesAnswer(feed.troubles.report),
  }),
];
