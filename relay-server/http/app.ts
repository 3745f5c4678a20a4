import { randomUUID } from 'node:crypto';
import { FaultError } from '@tidemark/calls/fault';
import { HEADERS } from '@tidemark/protocol/api';
import { asTidemarkError, TidemarkError, toProblem } from '@tidemark/protocol/errors';
import { PROTOCOL_VERSION } from '@tidemark/protocol/page';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import { rateLimit } from 'express-rate-limit';
import type { Bearer, Tokens } from '../tokens/tokens.ts';
import { addOperations, type OperationsDeps } from './operations/operations.ts';
import { DIGEST_ROUTES } from './routes/digest-routes.ts';
import { FEED_ROUTES } from './routes/feed-routes.ts';
import type { Route } from './routes/route.ts';
import { terminalRoutes } from './routes/terminal-routes.ts';
import { NEVER_CACHED, sendBytes, sendJson } from './send.ts';

/**
 * The relay's HTTP server. It first sets the safe headers and finds the route. Then it checks the key, its role, its
 * feed, the protocol version and the input, in this order, and runs the handler. It answers every error with a problem
 * body and logs it once.
 */

interface AppDeps extends OperationsDeps {
  /** The relay's display name. */
  name: string;
  tokens: Tokens;
  log: (event: string, fields: Record<string, unknown>) => void;
  /** Aborted when the relay stops. */
  stopping: AbortSignal;
}

/** The headers that helmet would set. Its middleware would cost more than a status answer. */
const SAFE_HEADERS: [string, string][] = [
  ['x-content-type-options', 'nosniff'],
  ['content-security-policy', "default-src 'none'; frame-ancestors 'none'"],
  ['referrer-policy', 'no-referrer'],
  ['cross-origin-resource-policy', 'same-origin'],
  ['strict-transport-security', 'max-age=31536000; includeSubDomains'],
];

/** Maximum number of requests without a valid key per address and minute. */
const BAD_TOKENS_A_MINUTE = 120;

export function createApp(deps: AppDeps): Express {
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
  const routes = [...FEED_ROUTES, ...terminalRoutes({ name: deps.name, version: deps.version }), ...DIGEST_ROUTES];
  for (const route of routes) {
    const method = route.method === 'GET' ? 'get' : 'post';
    app[method](route.path.pattern, (request: Request, response: Response, next: NextFunction) => {
      serve(route, deps, request, response).catch((error: unknown) => {
        // The limit counts only requests without a valid key, so that it does not slow down many terminals behind one
        // address.
        if (error instanceof TidemarkError && error.code === 'token_invalid')
          guard(request, response, (limited?: unknown) => next(limited ?? error));
        else next(error);
      });
    });
  }
  addOperations(app, routes, deps, (request) => {
    if (authenticate(deps, request).role !== 'admin') throw new TidemarkError('role_denied', { need: 'admin' });
  });
  app.use(() => {
    throw new TidemarkError('not_found');
  });
  app.use((thrown: unknown, request: Request, response: Response, next: NextFunction) =>
    answerError(deps, thrown, request, response, next),
  );
  return app;
}

/**
 * Runs the checks in the order that the module's header lists, then the handler. Throws the error with which to answer.
 */
async function serve(route: Route, deps: AppDeps, request: Request, response: Response): Promise<void> {
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
    // Created only if the handler uses it, because creating a signal costs more than a status answer.
    get signal(): AbortSignal {
      signal ??= AbortSignal.any([whenClosed(response), deps.stopping]);
      return signal;
    },
  };
  if (route.kind === 'bytes') return route.handle(call);
  const answer = route.handle(call);
  // Most handlers return a plain value, and awaiting it would cost a turn of the event loop.
  const value = answer instanceof Promise ? await answer : answer;
  if (!response.destroyed) sendJson(response, value);
}

const DISCONNECTED = new Error('the caller disconnected');

/** Returns a signal that is aborted when the connection closes, with or without an answer. */
function whenClosed(response: Response): AbortSignal {
  const gone = new AbortController();
  response.once('close', () => gone.abort(DISCONNECTED));
  return gone.signal;
}

/** Returns the holder of the request's key. Throws token_invalid for an invalid or missing key. */
function authenticate(deps: AppDeps, request: { headers: { authorization?: string | undefined } }): Bearer {
  const [, token] = /^Bearer ([\x21-\x7e]{1,500})$/i.exec(request.headers.authorization ?? '') ?? [];
  const bearer = token === undefined ? null : deps.tokens.find(token, deps.now());
  if (!bearer) throw new TidemarkError('token_invalid');
  return bearer;
}

/** Answers with a problem body and logs the error once. Logs the stack of errors without a code. */
function answerError(deps: AppDeps, thrown: unknown, request: Request, response: Response, next: NextFunction): void {
  const error = asTidemarkError(thrown);
  const requestId = randomUUID();
  const problem = toProblem(error, requestId);
  deps.log('request-failed', {
    requestId,
    method: request.method,
    path: request.path,
    code: error.code,
    status: problem.status,
    ...(error.code === 'internal' ? { stack: stackOf(error) } : {}),
  });
  if (response.headersSent) {
    // Close the connection early, so that the caller detects an incomplete answer.
    response.destroy();
    return;
  }
  const { status } = problem;
  const bytes = Buffer.from(JSON.stringify(problem));
  const headers = {
    ...NEVER_CACHED,
    [HEADERS.request]: requestId,
    ...(status === 503 || status === 429 ? { 'retry-after': '1' } : {}),
    // The rest of the body is unread, so the connection cannot be reused.
    ...(status === 413 ? { connection: 'close' } : {}),
  };
  sendBytes(response, 'application/problem+json', { bytes, coding: 'identity' }, headers, status);
  void next;
}

/** Returns the stack of an unexpected error, from the thread that reported it or from this one. */
function stackOf(error: TidemarkError): string | undefined {
  if (error instanceof FaultError) return error.fault.detail;
  return error.cause instanceof Error ? error.cause.stack : error.stack;
}
