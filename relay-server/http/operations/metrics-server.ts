import { createServer, type Server } from 'node:http';
import { metricsText } from './metrics.ts';
import type { OperationsDeps } from './operations.ts';

/**
 * The listener of `metrics` in relay.yaml. It serves `GET /metrics` without a key, and nothing else. The administrator
 * chooses an address that only the monitoring reaches.
 */
export function metricsServer(deps: Pick<OperationsDeps, 'feeds' | 'work' | 'now'>): Server {
  return createServer((request, response) => {
    if (request.method !== 'GET' || request.url?.split('?')[0] !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    metricsText(deps).then(
      (text) => response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(text),
      () => response.writeHead(500).end(),
    );
  });
}
