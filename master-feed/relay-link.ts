import http from 'node:http';
import https from 'node:https';
import { BatchAnswer, HEADERS, SessionAnswer, type SessionRequest } from '@tidemark/protocol/api';
import { type ErrorCode, type ErrorParams, Problem, TidemarkError } from '@tidemark/protocol/errors';
import { PROTOCOL_VERSION } from '@tidemark/protocol/page';
import { PATHS } from '@tidemark/protocol/paths';
import { mayRefuse } from '@tidemark/protocol/refusals';
import { parseRetryAfter } from '@tidemark/protocol/retry-wait';
import type { FeedReport } from '@tidemark/protocol/trouble';
import axios, { type AxiosInstance, type AxiosResponse } from 'axios';
import type { z } from 'zod';
import type { SendBatch } from './batching/outbox.ts';

/**
 * Time limit for the relay's answer, in ms. A batch may end a large base copy, which the relay compares and syncs to
 * disk before it answers.
 */
const ANSWER_MS = 10 * 60_000;
/** Time limit for the answer to a report, in ms. */
const REPORT_MS = 10_000;

/** The error for a request that the relay, or a proxy in front of it, rejected. */
export class RefusedRequest extends TidemarkError {
  /** The time in Retry-After, in ms; null if the answer has none. */
  readonly retryAfterMs: number | null;
  /** The HTTP status of the answer. */
  readonly status: number;

  constructor(code: ErrorCode, params: ErrorParams, retryAfterMs: number | null, status: number) {
    super(code, params);
    this.retryAfterMs = retryAfterMs;
    this.status = status;
  }
}

/** The feed's HTTP client for the relay. It converts every failure to an error with a code from protocol/errors.ts. */
export class RelayLink {
  readonly #http: AxiosInstance;
  readonly #feed: string;
  readonly #relay: string;

  constructor(relay: string, feed: string, token: string) {
    this.#feed = feed;
    this.#relay = relay;
    const agent = { keepAlive: true, noDelay: true };
    this.#http = axios.create({
      baseURL: relay,
      headers: { authorization: `Bearer ${token}`, [HEADERS.protocol]: String(PROTOCOL_VERSION) },
      httpAgent: new http.Agent(agent),
      httpsAgent: new https.Agent(agent),
      timeout: ANSWER_MS,
      maxRedirects: 0,
      maxBodyLength: Number.POSITIVE_INFINITY,
      proxy: false,
      responseType: 'text',
      transformResponse: (data: string) => data,
      validateStatus: () => true,
    });
  }

  async session(request: SessionRequest): Promise<SessionAnswer> {
    const body = Buffer.from(JSON.stringify(request));
    return this.#parse(SessionAnswer, await this.#post(PATHS.session(this.#feed), body, {}));
  }

  /** Replaces the relay's report of this feed (F18). Throws not_found if the relay is of an older version. */
  async report({ fault, tables, more }: FeedReport): Promise<void> {
    const iso = (ms: number) => new Date(ms).toISOString();
    const report = {
      fault: fault && { ...fault, since: iso(fault.since) },
      tables: tables.map((table) => ({ ...table, since: iso(table.since) })),
      more,
    };
    await this.#post(PATHS.troubles(this.#feed), Buffer.from(JSON.stringify(report)), {}, REPORT_MS);
  }

  /**
   * Returns a function that sends the batches of one session, numbered from 1. Call it as soon as the session is
   * answered: the relay dates heartbeats by its previous answer (S12).
   */
  sender(session: string): SendBatch {
    let number = 0;
    let answeredAtMs = performance.now();
    return async (batch, sampledAtMs = null) => {
      const headers = {
        [HEADERS.session]: session,
        [HEADERS.batch]: String(++number),
        'content-type': 'application/x-ndjson',
        ...(sampledAtMs === null ? {} : { [HEADERS.sampled]: String(Math.floor(sampledAtMs - answeredAtMs)) }),
      };
      const answer = this.#parse(BatchAnswer, await this.#post(PATHS.batches(this.#feed), batch, headers));
      answeredAtMs = performance.now();
      return answer;
    };
  }

  #parse<T extends z.ZodType>(shape: T, answer: unknown): z.output<T> {
    const parsed = shape.safeParse(answer);
    if (!parsed.success) throw new TidemarkError('relay_not_tidemark', { relay: this.#relay }, parsed.error);
    return parsed.data;
  }

  async #post(path: string, body: Buffer, headers: Record<string, string>, timeout = ANSWER_MS): Promise<unknown> {
    let answer: AxiosResponse<string>;
    try {
      answer = await this.#http.post<string>(path, body, { headers, timeout });
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      if (code === 'ECONNABORTED' || code === 'ETIMEDOUT')
        throw new TidemarkError('relay_timeout', { relay: this.#relay }, error);
      throw new TidemarkError('relay_unreachable', { relay: this.#relay, detail: code ?? message }, error);
    }
    const json = parse(answer.data);
    const { status } = answer;
    if (status === 200 && json !== undefined) return json;
    const problem = Problem.safeParse(json);
    const retryAfterMs = parseRetryAfter(answer.headers['retry-after'], Date.now());
    // A code that a relay does not send to feeds says nothing about this feed (S14).
    if (problem.success && mayRefuse('feed', problem.data.code))
      throw new RefusedRequest(problem.data.code, problem.data.params, retryAfterMs, status);
    if (status >= 500) throw new RefusedRequest('relay_failed', { status }, retryAfterMs, status);
    throw new RefusedRequest('relay_not_tidemark', { relay: this.#relay }, null, status);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The caller then reports that the server is not a Tidemark relay.
    return undefined;
  }
}
