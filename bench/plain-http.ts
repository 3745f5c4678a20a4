import { readFileSync } from 'node:fs';
import http from 'node:http';
import express from 'express';

/**
 * The limits of the relay's speed. `plain-http.ts node <file>` serves the bytes of a file, and
 * `plain-http.ts express <json>` serves a fixed answer.
 */
const [kind, given = ''] = process.argv.slice(2);

function node(): http.Server {
  const body = readFileSync(given);
  const headers = { 'content-type': 'application/x-ndjson', 'content-length': body.length };
  return http.createServer((_, response) => {
    response.writeHead(200, headers);
    response.end(body);
  });
}

function withExpress(): http.Server {
  const body = JSON.parse(given) as unknown;
  const app = express();
  app.get('/status', (_, response) => void response.json(body));
  return http.createServer(app);
}

const server = kind === 'node' ? node() : withExpress();
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  console.log(`ready ${JSON.stringify({ port: typeof address === 'object' ? address?.port : 0 })}`);
});
