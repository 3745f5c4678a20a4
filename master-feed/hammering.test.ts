import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { PATHS } from '@tidemark/protocol/paths';
import { FakeMaster } from '@tidemark/testing/fake-master';
import { FakeSource } from '@tidemark/testing/fake-source';
import { expect, test } from 'vitest';
import { FaultReports } from './fault-reports.ts';
import { runFeed } from './feed.ts';
import { RelayLink } from './relay-link.ts';

/**
 * Rule W1: a feed never repeats a request without a growing pause, whatever the relay or a proxy in front of it
 * answers.
 */

const WINDOW_MS = 2_000;
/**
 * Upper bound on the requests within the window. The pauses are at least 125, 250, 500 and 1000 ms, and each attempt
 * sends a session request, a report and a batch.
 */
const MOST_REQUESTS = 5 * 3;

const HTML = '<html>Sign in</html>';
const session = (position: string | null) =>
  JSON.stringify({
    ...{ session: 'one', epoch: 'aaaaaaaa', head: 0, position, publish: null, tables: [], nextTableId: 1 },
  });

interface Answer {
  status: number;
  body: string;
  headers?: Record<string, string>;
}
const busy = (retryAfter: string): Answer => ({ status: 503, body: HTML, headers: { 'retry-after': retryAfter } });

/** Counts the requests of a feed within the window, and collects the faults that it logs. */
async function count(answers: { session: Answer; batches: Answer }): Promise<{ requests: number; faults: unknown[] }> {
  let requests = 0;
  const server = http.createServer((request, response) => {
    requests++;
    request.resume();
    request.on('end', () => {
      const { status, body, headers } = answers[request.url === PATHS.session('shop') ? 'session' : 'batches'];
      response.writeHead(status, headers).end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const master = new FakeMaster();
  master.createTable('item', [{ op: 'insert', table: 'item', row: [1, 'one'] }]);
  const stop = new AbortController();
  const faults: unknown[] = [];
  const relay = new RelayLink(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, 'shop', 'key');
  const ended = runFeed(
    {
      source: new FakeSource(master),
      relay,
      reports: new FaultReports((report) => relay.report(report), Date.now),
      ...{ version: 'test', random: () => 0, now: Date.now },
      log: (event, { code } = {}) => {
        if (event === 'fault') faults.push(code);
      },
    },
    stop.signal,
  );
  await new Promise((resolve) => setTimeout(resolve, WINDOW_MS));
  const counted = requests;
  stop.abort();
  await ended;
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  return { requests: counted, faults };
}

const OK = { status: 200, body: session(null) };
test.each<[string, { session: Answer; batches: Answer }, string | null]>([
  ['Retry-After: 0 for a session', { session: busy('0'), batches: OK }, 'relay_failed'],
  ['Retry-After: 0 for a batch', { session: OK, batches: busy('0') }, 'relay_failed'],
  ['Retry-After: -1', { session: busy('-1'), batches: OK }, 'relay_failed'],
  ['Retry-After: soon', { session: busy('soon'), batches: OK }, 'relay_failed'],
  ['a sign-in page', { session: { status: 200, body: HTML }, batches: OK }, 'relay_not_tidemark'],
  ['another object', { session: { status: 200, body: '{}' }, batches: OK }, 'relay_not_tidemark'],
  // In this session, the feed can only request another session.
  ['a position that never goes', { session: { status: 200, body: session('0000000000000009') }, batches: OK }, null],
])('a feed makes few requests when the relay answers with %s', async (_, answers, code) => {
  const { requests, faults } = await count(answers);
  expect(requests).toBeGreaterThan(0);
  expect(requests).toBeLessThanOrEqual(MOST_REQUESTS);
  expect([...new Set(faults)]).toEqual(code === null ? [] : [code]);
});

test('a feed waits for the time in Retry-After', async () => {
  expect(await count({ session: busy('60'), batches: OK })).toEqual({ requests: 1, faults: ['relay_failed'] });
});
