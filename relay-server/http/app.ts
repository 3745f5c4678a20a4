import { randomUUID } from 'node:crypto';
import { FaultError } from '@tidemark/calls/fault';
import { HEADERS, type Role } from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import { PROTOCOL_VERSION } from '@tidemark/protocol/page';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import type { RelayWork } from '../threads/relay-work.ts';
import { RetryLater } from '../threads/retry-later.ts';
import type { Bearer, Tokens } from '../tokens/tokens.ts';
import { readBody } from './body.ts';
import { KeyTurns } from './key-turns.ts';
import type { HttpLimits } from './limits/http-limits.ts';
import { InFlight } from './limits/in-flight.ts';
import { checkHead } from './limits/request-head.ts';
import { addOperations, type OperationsDeps } from './operations/operations.ts';
import { BadKeys } from './refusals/bad-keys.ts';
import { clientAddress } from './refusals/client-address.ts';
import { refusalFor, thrownError } from './refusals/refusal.ts';
import { mistakesIn, refusalBody } from './refusals/refusal-body.ts';
import type { RefusalLog } from './refusals/refusal-log.ts';
import { digestRoutes } from './routes/digest-routes.ts';
import { FEED_ROUTES } from './routes/feed-routes.ts';
import type { Route } from './routes/route.ts';
import { terminalRoutes } from './routes/terminal-routes.ts';
import { NEVER_CACHED, sendBytes, sendJson } from './send.ts';

/**
 * The relay's HTTP server. It first sets the safe headers, checks the request's head and finds the route. Then it checks
 * the key, its role, its feed, the number of requests of the key, the protocol version and the input, in this order, and
 * runs the handler. It answers every error with a problem body, with a code that the caller may receive (S14), and logs
 * it once, within the bound of the refusal log.
 */

interface AppDeps extends OperationsDeps {
  work: RelayWork;
  /** The relay's display name. */
  name: string;
  tokens: Tokens;
  refusals: RefusalLog;
  /** Addresses and networks whose X-Forwarded-For is believed. */
  trustedProxies: string[];
  /** Aborted when the relay stops. */
  stopping: AbortSignal;
  limits: HttpLimits;
}

/** The headers that helmet would set. Its middleware would cost more than a status answer. */
const SAFE_HEADERS: [string, string][] = [
  ['x-content-type-options', 'nosniff'],
  ['content-security-policy', "default-src 'none'; frame-ancestors 'none'"],
  ['referrer-policy', 'no-referrer'],
  ['cross-origin-resource-policy', 'same-origin'],
  ['strict-transport-security', 'max-age=31536000; includeSubDomains'],
];

export function createApp(deps: AppDeps): Express {
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.set('query parser', 'simple');
  app.use((request, response, next) => {
    for (const [name, value] of SAFE_HEADERS) response.setHeader(name, value);
    checkHead(request);
    next();
  });
  app.set('trust proxy', deps.trustedProxies);
  const badKeys = new BadKeys();
  const serving = { ...deps, turns: new KeyTurns(), inFlight: new InFlight() };
  const routes = [
    ...FEED_ROUTES,
    ...terminalRoutes({ name: deps.name, version: deps.version }),
    ...digestRoutes(deps.work.digester),
  ];
  for (const route of routes) {
    const method = route.method === 'GET' ? 'get' : 'post';
    app[method](route.path.pattern, (request: Request, response: Response, next: NextFunction) => {
      response.locals.role = route.role;
      serve(route, serving, request, response).catch(next);
    });
  }
  addOperations(app, routes, deps, (request) => {
    if (authenticate(deps, request).role !== 'admin') throw new TidemarkError('role_denied', { need: 'admin' });
  });
  app.use(() => {
    throw new TidemarkError('not_found');
  });
  app.use((thrown: unknown, request: Request, response: Response, next: NextFunction) =>
    // Express recognises a handler of errors by its four parameters.
    answerError(deps, badKeys, thrown, request, response, next),
  );
  return app;
}

/**
 * Runs the checks in the order that the module's header lists, then the handler. Throws the error with which to answer.
 */
async function serve(
  route: Route,
  deps: AppDeps & { turns: KeyTurns; inFlight: InFlight },
  request: Request,
  response: Response,
): Promise<void> {
  const bearer = authenticate(deps, request);
  const turn = deps.turns.take(`${bearer.feed}/${bearer.name}`);
  // Most requests have their turn at once, and awaiting it would cost a turn of the event loop.
  if (turn) await turn;
  if (request.socket.destroyed) return;
  if (bearer.role !== route.role) throw new TidemarkError('role_denied', { need: route.role });
  const named = String(request.params.feed);
  if (bearer.feed !== named) throw new TidemarkError('feed_denied', { feed: named });
  const feed = deps.feeds.get(named);
  if (!feed) throw new TidemarkError('feed_unknown', { feed: named });
  const isFeed = bearer.role === 'feed';
  const { hold } = deps.inFlight.enter(`${bearer.feed} ${bearer.name}`, isFeed, response);
  const speaks = request.headers[HEADERS.protocol];
  if (speaks !== undefined && speaks !== String(PROTOCOL_VERSION)) throw new TidemarkError('protocol_unsupported');
  const input = route.input.safeParse({ ...request.query, ...request.params });
  if (!input.success) throw mistakesIn(input.error, 'query');
  let signal: AbortSignal | undefined;
  const call = {
    ...{ input: input.data, feed, bearer, request, response },
    body: (bytes: number) => {
      const ms = isFeed ? deps.limits.requestMs : deps.limits.bodyMs;
      return readBody(request, response, { bytes, ms, hold });
    },
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

/**
 * Returns the holder of the request's key. Throws token_invalid for an invalid or missing key, and request_invalid for
 * two Authorization headers, of which a proxy may have checked the other one.
 */
function authenticate(deps: AppDeps, request: Pick<Request, 'headers' | 'rawHeaders'>): Bearer {
  if (request.rawHeaders.filter((name, n) => n % 2 === 0 && /^authorization$/i.test(name)).length > 1)
    throw new TidemarkError('request_invalid', { detail: 'the header authorization occurs twice' });
  const key = presentedKey(request);
  const bearer = key === null ? null : deps.tokens.find(key, deps.now());
  if (!bearer) throw new TidemarkError('token_invalid');
  return bearer;
}

/** Returns the key in the Authorization header, valid or not. */
function presentedKey(request: Pick<Request, 'headers'>): string | null {
  return /^Bearer ([\x21-\x7e]{1,500})$/i.exec(request.headers.authorization ?? '')?.[1] ?? null;
}

/** Answers with a problem body and logs the error. Logs the stack of errors without a code. */
function answerError(
  deps: AppDeps,
  badKeys: BadKeys,
  thrown: unknown,
  request: Request,
  response: Response,
  next: NextFunction,
): void {
  let error = thrownError(thrown);
  const client = clientAddress(request);
  const key = presentedKey(request);
  if (error.code === 'token_invalid' && badKeys.isRepeated(client, key)) error = new TidemarkError('relay_busy');
  const requestId = randomUUID();
  const { role = 'admin' } = response.locals as { role?: Role };
  const { error: sent, status } = refusalFor(role, error);
  const { method, path } = request;
  const stack = error.code === 'internal' ? stackOf(error) : undefined;
  deps.refusals.add({ requestId, client, method, path, status, key }, error, stack);
  if (response.headersSent) {
    // Close the connection early, so that the caller detects an incomplete answer.
    response.destroy();
    return;
  }
  const retryAfter = error instanceof RetryLater ? String(error.retryAfterS) : '1';
  const bytes = refusalBody(sent, status, requestId);
  const headers = {
    ...NEVER_CACHED,
    [HEADERS.request]: requestId,
    ...(status === 503 || status === 429 ? { 'retry-after': retryAfter } : {}),
  };
  sendBytes(response, 'application/problem+json', { bytes, coding: 'identity' }, headers, status);
  void next;
}

/** Returns the stack of an unexpected error, from the thread that reported it or from this one. */
function stackOf(error: TidemarkError): string | undefined {
  if (error instanceof FaultError) return error.fault.detail;
  return error.cause instanceof Error ? error.cause.stack : error.stack;
}
