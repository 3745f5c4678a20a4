import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { HttpLimits } from '../limits/http-limits.ts';
import { limitedServer } from '../limits/limited-server.ts';
import { metricsText } from './metrics.ts';
import type { OperationsDeps } from './operations.ts';

/** Open connections in all. Monitoring needs one or two. */
const CONNECTIONS = 100;

/**
 * The listener of `metrics` in relay.yaml. It serves `GET /metrics` without a key, and nothing else. The administrator
 * chooses an address that only the monitoring reaches.
 */
export function metricsServer(deps: Pick<OperationsDeps, 'feeds' | 'work' | 'now'>, limits: HttpLimits): Server {
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    if (request.method !== 'GET' || request.url?.split('?')[0] !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    metricsText(deps).then(
      (text) => response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(text),
      () => response.writeHead(500).end(),
    );
  };
  return limitedServer(listener, { ...limits, connections: CONNECTIONS });
}
