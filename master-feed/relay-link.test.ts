import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { TidemarkError, toProblem } from '@tidemark/protocol/errors';
import { PROTOCOL_VERSION } from '@tidemark/protocol/page';
import { afterEach, expect, test } from 'vitest';
import { RelayLink } from './relay-link.ts';

let server: http.Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** Opens a session at a relay that rejects it with this status and code. Returns the error. */
async function refusal(status: number, code: string): Promise<unknown> {
  const body = JSON.stringify({ ...toProblem(new TidemarkError('feed_unknown', { feed: 'shop' })), status, code });
  server = http.createServer((_, response) => response.writeHead(status).end(body));
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  const relay = new RelayLink(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, 'shop', 'key');
  const source = { kind: 'postgres' as const, id: 'postgres 1/shop' };
  return relay.session({ protocol: PROTOCOL_VERSION, version: '1.0.0', source }).catch((error: unknown) => error);
}

test('identifies a rejection by its code', async () => {
  expect(await refusal(404, 'feed_unknown')).toMatchObject({ code: 'feed_unknown', params: { feed: 'shop' } });
});

test.each([
  [500, 'relay_failed'],
  [503, 'relay_failed'],
  [429, 'relay_not_tidemark'],
  [409, 'relay_not_tidemark'],
])('V4: identifies a rejection with an unknown code by its HTTP status (%i)', async (status, code) => {
  expect(await refusal(status, 'code_of_a_newer_relay')).toMatchObject({ code });
});

test.each(['usage', 'config_invalid', 'cancelled', 'internal', 'source_denied', 'snapshot_gone'])(
  'S14: identifies a rejection with %s, which no relay sends to a feed, by its HTTP status',
  async (code) => {
    expect(await refusal(500, code)).toMatchObject({ code: 'relay_failed' });
  },
);
