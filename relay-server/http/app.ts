import { randomUUID } from 'node:crypto';
import { HEADERS } from '@tidemark/protocol/api';
import { asTidemarkError, TidemarkError, toProblem } from '@tidemark/protocol/errors';
import { PROTOCOL_VERSION } from '@tidemark/protocol/page';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import { rateLimit } from 'express-rate-limit';
import type { FeedService } from '../feed/feed-service.ts';
import type { Bearer, Tokens } from '../tokens/tokens.ts';
import { COMPARE_ROUTES } from './digest-routes.ts';
import { FEED_ROUTES } from './feed-routes.ts';
import { metricsText } from './metrics.ts';
import { openApi } from './openapi.ts';
import type { Route } from './route.ts';
import { TERMINAL_ROUTES } from './terminal-routes.ts';

export interface ServerDeps {
  feeds: Map<string, FeedService>;
  tokens: Tokens;
  version: string;
  now: () => number;
  log: (event: string, fields: Record<string, unknown>) => void;
  /** Aborted when the relay stops. */
  stopping: AbortSignal;
  /** Why the relay cannot work now; empty when it can. */
  ready: () => { name: string; ok: boolean; detail: string }[];
}

const ROUTES: Route[] = [...FEED_ROUTES, ...TERMINAL_ROUTES, ...COMPARE_ROUTES];

/** What helmet would set on each answer, set once: its middleware costs more than a status answer. */
const SAFE_HEADERS: [string, string][] = [
  ['x-content-type-options', 'nosniff'],
  ['content-security-policy', "default-src 'none'; frame-ancestors 'none'"],
  ['referrer-policy', 'no-referrer'],
  ['cross-origin-resource-policy', 'same-origin'],
  ['strict-transport-security', 'max-age=31536000; includeSubDomains'],
];

/** Requests a minute of one address whose token is not accepted. */
const BAD_TOKENS_A_MINUTE = 120;

/** The relay's HTTP side: one registrar for all routes, auth first, errors last. */
export function createApp(deps: ServerDeps): Express {
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.set('query parser', 'simple');
  app.use((_request, response, next) => {
    for (const [name, value] of SAFE_HEADERS) response.setHeader(name, value);
    next();
  });
  const guard = rateLimit({
    windowMs: 60_000,
    limit: BAD_TOKENS_A_MINUTE,
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    handler: (_q, _s, next) => next(new TidemarkError('relay_busy')),
  });
  for (const route of ROUTES) {
    const method = route.method === 'GET' ? 'get' : 'post';
    app[method](route.path, (request: Request, response: Response, next: NextFunction) => {
      serve(route, deps, request, response).catch((error: unknown) => {
        // Only callers without a good token are counted: a fleet behind one address is not held up.
        if (error instanceof TidemarkError && error.code === 'token_invalid')
          guard(request, response, (limited?: unknown) => next(limited ?? error));
        else next(error);
      });
    });
  }
  addOperations(app, deps);
  app.use(() => {
    throw new TidemarkError('not_found');
  });
  app.use((thrown: unknown, request: Request, response: Response, next: NextFunction) =>
    answerError(deps, thrown, request, response, next),
  );
  return app;
}

async function serve(route: Route, deps: ServerDeps, request: Request, response: Response): Promise<void> {
  const bearer = authenticate(deps, request);
  if (bearer.role !== route.role) throw new TidemarkError('role_denied', { need: route.role });
  const named = String(request.params.feed);
  if (bearer.feed !== named) throw new TidemarkError('feed_denied', { feed: named });
  const feed = deps.feeds.get(named);
  if (!feed) throw new TidemarkError('feed_unknown', { feed: named });
  const speaks = request.headers[HEADERS.protocol];
  if (speaks !== undefined && speaks !== String(PROTOCOL_VERSION)) throw new TidemarkError('protocol_unsupported');
  const input = route.input.safeParse({ ...request.query, ...request.params });
  if (!input.success)
    throw new TidemarkError('request_invalid', {
      detail: input.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; '),
    });
  let signal: AbortSignal | undefined;
  const call = {
    ...{ input: input.data, feed, bearer, request, response },
    // Made for those who wait: making one costs more than a status answer.
    get signal(): AbortSignal {
      signal ??= AbortSignal.any([whenClosed(response), deps.stopping]);
      return signal;
    },
  };
  const answer = route.handle(call);
  const value = answer instanceof Promise ? await answer : answer;
  if (value === undefined || response.destroyed) return;
  const bytes = Buffer.from(JSON.stringify(value));
  response.writeHead(200, {
    'content-type': 'application/json',
    'content-length': bytes.length,
    'cache-control': 'no-store',
  });
  response.end(bytes);
}

const GONE = new Error('the caller has gone');

function whenClosed(response: Response): AbortSignal {
  const gone = new AbortController();
  response.once('close', () => gone.abort(GONE));
  return gone.signal;
}

function authenticate(deps: ServerDeps, request: Request): Bearer {
  const [, token] = /^Bearer ([\x21-\x7e]{1,500})$/i.exec(request.headers.authorization ?? '') ?? [];
  const bearer = token === undefined ? null : deps.tokens.find(token, deps.now());
  if (!bearer) throw new TidemarkError('token_invalid');
  return bearer;
}

function addOperations(app: Express, deps: ServerDeps): void {
  const send = (response: Response, status: number, value: unknown) => {
    response.status(status).setHeader('cache-control', 'no-store');
    response.json(value);
  };
  app.get('/healthz', (_request, response) => send(response, 200, { ok: true }));
  app.get('/readyz', (_request, response) => {
    const checks = deps.ready();
    send(response, checks.every(({ ok }) => ok) ? 200 : 503, { checks });
  });
  app.get('/version', (_request, response) =>
    send(response, 200, { version: deps.version, protocol: PROTOCOL_VERSION }),
  );
  const document = openApi(ROUTES, deps.version);
  app.get('/openapi.json', (_request, response) => send(response, 200, document));
  app.get('/metrics', async (request, response) => {
    const local =
      ['127.0.0.1', '::1', '::ffff:127.0.0.1'].includes(request.socket.remoteAddress ?? '') &&
      request.headers['x-forwarded-for'] === undefined;
    if (!local && authenticate(deps, request).role !== 'admin')
      throw new TidemarkError('role_denied', { need: 'admin' });
    response.type('text/plain; version=0.0.4').send(await metricsText(deps));
  });
}

function answerError(
  deps: ServerDeps,
  thrown: unknown,
  request: Request,
  response: Response,
  next: NextFunction,
): void {
  const error = asTidemarkError(thrown);
  const requestId = randomUUID();
  const problem = toProblem(error, requestId);
  deps.log('request-failed', {
    requestId,
    method: request.method,
    path: request.path,
    code: error.code,
    status: problem.status,
    ...(error.code === 'internal' ? { stack: (error.cause as Error)?.stack ?? error.stack } : {}),
  });
  if (response.headersSent) {
    // Half an answer must not look like a whole one.
    response.destroy();
    return;
  }
  const bytes = Buffer.from(JSON.stringify(problem));
  response.writeHead(problem.status, {
    'content-type': 'application/problem+json',
    'content-length': bytes.length,
    'cache-control': 'no-store',
    [HEADERS.request]: requestId,
    ...(problem.status === 503 || problem.status === 429 ? { 'retry-after': '1' } : {}),
    ...(problem.status === 413 ? { connection: 'close' } : {}),
  });
  response.end(bytes);
  void next;
}
