import { PROTOCOL_VERSION } from '@tidemark/protocol/page';
import type { Express, Request } from 'express';
import type { Feed } from '../../feed/feed.ts';
import type { RelayWork } from '../../threads/relay-work.ts';
import type { Route } from '../routes/route.ts';
import { NEVER_CACHED, sendBytes, sendJson } from '../send.ts';
import { metricsText } from './metrics.ts';
import { openApi } from './openapi.ts';
import type { Readiness } from './readiness.ts';

/** The routes for operators and monitoring: health, readiness, version, metrics, and the API description. */

export interface OperationsDeps {
  feeds: ReadonlyMap<string, Feed>;
  version: string;
  work: Pick<RelayWork, 'queues'>;
  now: () => number;
  readiness: () => Readiness;
}

/** Adds the routes to `app`. `requireAdmin` throws token_invalid or role_denied. */
export function addOperations(
  app: Express,
  routes: Route[],
  deps: OperationsDeps,
  requireAdmin: (request: Pick<Request, 'headers' | 'rawHeaders'>) => void,
): void {
  app.get('/healthz', (_request, response) => sendJson(response, { ok: true }));
  app.get('/readyz', (_request, response) => {
    const readiness = deps.readiness();
    sendJson(response, readiness, readiness.ready ? 200 : 503);
  });
  app.get('/version', (_request, response) =>
    sendJson(response, { version: deps.version, protocol: PROTOCOL_VERSION }),
  );
  const document = { bytes: Buffer.from(JSON.stringify(openApi(routes, deps.version))), coding: 'identity' } as const;
  app.get('/openapi.json', (_request, response) => sendBytes(response, 'application/json', document, NEVER_CACHED));
  app.get('/metrics', async (request, response) => {
    // The address of the peer proves nothing: a proxy on this machine may add no header. `metrics` in relay.yaml opens
    // a listener that needs no key.
    requireAdmin(request);
    response.type('text/plain; version=0.0.4').send(await metricsText(deps));
  });
}
