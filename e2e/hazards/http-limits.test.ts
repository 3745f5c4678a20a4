import { spawn } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { RelayLink } from '@tidemark/master-feed/relay-link';
import { TidemarkError } from '@tidemark/protocol/errors';
import { readConfig } from '@tidemark/relay-server/config/relay-config';
import { Tokens } from '@tidemark/relay-server/tokens/tokens';
import { COMMANDS, Running, until } from '@tidemark/testing/processes';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import { batchOf, ITEM, position, TestRelay } from '@tidemark/testing/test-relay';
import { afterEach, describe, expect, test } from 'vitest';
import { RawConnection, rawRequest } from './raw-http.ts';

/**
 * Hostile and broken HTTP clients: the relay bounds the connections, requests, bytes and time of each of them, and
 * serves the others (B40 to B46).
 */

const STATUS = '/v1/feeds/shop/status';
/** Long enough for every limit of these tests to pass, and far below the relay's own limits. */
const SOON_MS = 15_000;

let relay: TestRelay;
const opened: RawConnection[] = [];
afterEach(async () => {
  for (const connection of opened.splice(0)) connection.socket.destroy();
  await relay.stop();
});

/** Starts a relay with one row. `limits`: limits that differ from the relay's own. */
async function startRelay(limits: Parameters<typeof TestRelay.start>[2] = {}, config = '{}'): Promise<void> {
  relay = await TestRelay.start(config, { 'branch-9': {} }, limits);
  await relay.base(1);
}

async function open(bytes = '', from?: string): Promise<RawConnection> {
  const connection = await RawConnection.open(relay.url, bytes, from);
  opened.push(connection);
  return connection;
}

async function openMany(count: number, bytes = '', from?: string): Promise<RawConnection[]> {
  const connections = await RawConnection.many(count, relay.url, bytes, from);
  opened.push(...connections);
  return connections;
}

const key = (name = 'terminal') => relay.token(name);
const codeOf = (received: string) => /"code":"(\w+)"/.exec(received)?.[1];

/** Fails unless health, another terminal and the feed are served. */
async function expectOthersServed(): Promise<void> {
  expect((await fetch(`${relay.url}/healthz`)).status).toBe(200);
  expect((await relay.get(STATUS, key('branch-9'))).status).toBe(200);
  await relay.current();
}

/** Returns a request that the relay answers at the next commit, or after a minute. */
async function longPoll(name = 'terminal'): Promise<string> {
  const { head, plan } = (await (await relay.get(STATUS)).json()) as {
    head: { epoch: string; seq: number };
    plan: { scopes?: string };
  };
  return rawRequest(`${STATUS}?epoch=${head.epoch}&seq=${head.seq}&scopes=${plan.scopes ?? 'all'}&wait=60`, {
    key: key(name),
  });
}

describe('time', () => {
  test('slow-headers: a client that sends its headers byte by byte is cut off, and the others are served', async () => {
    await startRelay({ headersMs: 500 });
    const connections = await openMany(50, `GET ${STATUS} HTTP/1.1\r\n`);
    for (const connection of connections) connection.trickle('a', 50);
    await expectOthersServed();
    await Promise.all(connections.map(({ closed }) => closed));
    expect(codeOf(connections[0]?.received ?? '')).toBe('request_invalid');
  });

  test('silent-connections: connections without a request are closed', async () => {
    await startRelay({ headersMs: 500 });
    const connections = await openMany(200);
    await expectOthersServed();
    await Promise.all(connections.map(({ closed }) => closed));
  });

  test('slow-body: a body that arrives byte by byte is refused, and the reason is named', async () => {
    await startRelay({ bodyMs: 500 });
    const head = rawRequest('/v1/feeds/shop/snapshots/e/all/1/digests', {
      method: 'POST',
      key: key(),
      headers: ['content-length: 100000'],
    });
    const { epoch } = ((await (await relay.get(STATUS)).json()) as { head: { epoch: string } }).head;
    const connection = await open(head.replace('/e/', `/${epoch}/`));
    connection.trickle('a', 50);
    await connection.closed;
    expect(connection.received).toContain('the body did not arrive within 0.5 s');
    await expectOthersServed();
  });

  test('slow-batch: the body of a feed may take longer than that of a terminal, and is refused in the end', async () => {
    await startRelay({ bodyMs: 100, requestMs: 2_000, headersMs: 1_000 });
    const head = (length: number) =>
      rawRequest('/v1/feeds/shop/troubles', {
        method: 'POST',
        key: key('feed'),
        headers: [`content-length: ${length}`],
      });
    const report = JSON.stringify({ fault: null, tables: [], more: 0 });
    const slow = await open(head(report.length) + report.slice(0, 5));
    await new Promise((resolve) => setTimeout(resolve, 500));
    slow.socket.write(report.slice(5));
    await expect.poll(() => slow.statuses, { timeout: SOON_MS }).toEqual([200]);
    const endless = await open(head(100_000));
    endless.trickle(' ', 50);
    await endless.closed;
    await expectOthersServed();
  });

  test('never-reads: a client that takes nothing of its answer is cut off; one that waits for an answer is not', async () => {
    await startRelay({ stallMs: 1_000 });
    const big = 'x'.repeat(200_000);
    await relay.commit(
      'i',
      Array.from({ length: 300 }, (_, n): [number, string] => [n + 10, `${n}${big}`]),
    );
    const manifest = () => relay.get('/v1/feeds/shop/snapshot');
    await expect.poll(async () => (await manifest()).status, { timeout: 60_000 }).toBe(200);
    const { cursor } = (await (await manifest()).json()) as { cursor: { epoch: string; seq: number } };
    const file = rawRequest(`/v1/feeds/shop/snapshots/${cursor.epoch}/all/${cursor.seq}`, { key: key() });
    const connection = await open();
    connection.socket.pause();
    connection.socket.write(file);
    const waiting = await open(await longPoll('branch-9'));
    await expectOthersServed();
    // The relay has closed its side of the connection, so it answers further bytes with a reset.
    const reset = new Promise((resolve) => connection.socket.once('error', resolve));
    connection.trickle(file, 100);
    await reset;
    expect(waiting.socket.closed).toBe(false);
    await relay.commit('u', [[1, 'news']]);
    await expect.poll(() => waiting.statuses, { timeout: SOON_MS }).toEqual([200]);
  });
});

describe('number', () => {
  test('address-floods: one address cannot take the connections of the others', async () => {
    await startRelay({ connectionsOfAddress: 100 }, '{}\ntrustedProxies: ["127.0.0.9"]');
    const flood = await openMany(500);
    // The feed's connection is the hundredth of this address.
    await expect.poll(() => flood.filter(({ socket }) => socket.closed).length, { timeout: SOON_MS }).toBe(401);
    // Another client, and a proxy with many clients, have room.
    const others = await openMany(50, rawRequest('/healthz', {}), '127.0.0.2');
    const proxied = await openMany(150, rawRequest('/healthz', {}), '127.0.0.9');
    await expect
      .poll(() => [...others, ...proxied].every(({ statuses }) => statuses[0] === 200), { timeout: SOON_MS })
      .toBe(true);
    await Promise.all(flood.map((connection) => connection.end()));
    await expectOthersServed();
  });

  test('too-many-connections: the relay closes further ones at once, serves the others, and recovers', async () => {
    await startRelay({ connections: 300 });
    const waiting = await open(await longPoll('branch-9'));
    const flood = await openMany(400);
    await expect.poll(() => flood.some(({ socket }) => socket.closed), { timeout: SOON_MS }).toBe(true);
    // The feed keeps its connection.
    await relay.commit('u', [[1, 'news']]);
    await expect.poll(() => waiting.statuses, { timeout: SOON_MS }).toEqual([200]);
    await Promise.all(flood.map((connection) => connection.end()));
    await expect
      .poll(
        () =>
          fetch(`${relay.url}/healthz`).then(
            ({ status }) => status,
            () => 0,
          ),
        { timeout: SOON_MS },
      )
      .toBe(200);
    await expectOthersServed();
  });

  test('5,000-silent-connections: through a proxy they neither slow the relay nor stop it', async () => {
    await startRelay({ headersMs: 20_000 });
    const connections: RawConnection[] = [];
    for (let n = 0; n < 10; n++) connections.push(...(await openMany(500)));
    expect(connections.filter(({ socket }) => socket.closed)).toEqual([]);
    const begin = performance.now();
    for (let n = 0; n < 20; n++) await expectOthersServed();
    expect((performance.now() - begin) / 20).toBeLessThan(500);
  });

  test('many-headers: 100 headers are served, 101 and 10,000 are refused', async () => {
    await startRelay();
    const withHeaders = (count: number) =>
      rawRequest('/healthz', { headers: ['connection: close', ...Array.from({ length: count - 2 }, () => 'a:')] });
    const served = await open(withHeaders(100));
    await served.closed;
    expect(served.statuses).toEqual([200]);
    for (const count of [101, 10_000]) {
      const refused = await open(withHeaders(count));
      await refused.closed;
      expect(codeOf(refused.received)).toBe('request_invalid');
      expect(refused.received).toContain('more than 100');
    }
  });

  test('long-address: 15 kB are read, 17 kB are refused', async () => {
    await startRelay();
    const ask = async (length: number) => {
      const connection = await open(rawRequest(`/${'a'.repeat(length)}`, { headers: ['connection: close'] }));
      await connection.closed;
      return codeOf(connection.received);
    };
    expect(await ask(15_000)).toBe('not_found');
    expect(await ask(17_000)).toBe('request_invalid');
    await expectOthersServed();
  });

  test('pipelining: the relay closes a connection on which more than 64 requests wait for their answers', async () => {
    await startRelay();
    const poll = await longPoll();
    const [few, many] = [await open(poll + rawRequest('/healthz', {}).repeat(63)), await open(poll.repeat(2_000))];
    await many.closed;
    expect(many.statuses).toEqual([]);
    expect(few.socket.closed).toBe(false);
    await relay.commit('u', [[1, 'news']]);
    await expect.poll(() => few.statuses.length, { timeout: SOON_MS }).toBe(64);
    await expectOthersServed();
  });

  test('pipelining-in-all: with too many requests, no connection may pipeline, and others are served', async () => {
    await startRelay({ requests: 40 });
    const poll = await longPoll();
    const first = await open(poll + rawRequest('/healthz', {}).repeat(50));
    await first.closed;
    const waiting = await open(poll + rawRequest('/healthz', {}).repeat(39));
    await expectOthersServed();
    const next = await open(rawRequest('/healthz', {}).repeat(2));
    await next.closed;
    await expectOthersServed();
    await waiting.end();
    const later = await open(rawRequest('/healthz', {}).repeat(30));
    await expect.poll(() => later.statuses.length, { timeout: SOON_MS }).toBe(30);
  });

  test('few-open-files: connections never take the files that the stores need', async () => {
    await startRelay();
    const folder = temporaryFolder('few-files');
    const config = path.join(folder, 'relay.yaml');
    writeFileSync(config, 'listen: 127.0.0.1:0\ndata: ./relay-data\nfeeds:\n  shop: {}\n');
    const tokens = new Tokens(readConfig(config));
    const feed = tokens.add({ name: 'feed', role: 'feed', feed: 'shop', attributes: {} }, new Date());
    const terminal = tokens.add({ name: 'branch-7', role: 'terminal', feed: 'shop', attributes: {} }, new Date());
    tokens.close();
    const command = 'ulimit -n 300; exec "$0" "$1" serve --config "$2"';
    const running = new Running(
      spawn('bash', ['-c', command, process.execPath, COMMANDS.relay, config], { stdio: ['ignore', 'pipe', 'pipe'] }),
    );
    try {
      const url = await until(
        async () => /"url":"([^"]+)"/.exec(running.stdout)?.[1],
        () => `the relay did not start: ${running.stdout}${running.stderr}`,
      );
      expect(running.stdout).toContain('few-open-files');
      const flood = await RawConnection.many(500, url);
      opened.push(...flood);
      await expect.poll(() => flood.filter(({ socket }) => socket.closed).length, { timeout: 60_000 }).toBe(350);
      const open = flood.filter(({ socket }) => !socket.closed);
      await Promise.all(open.slice(0, 5).map((connection) => connection.end()));
      const link = new RelayLink(url, 'shop', feed);
      const request = { protocol: 1, source: { kind: 'postgres', id: 'a' }, version: 'test' } as const;
      // The relay resets a new connection until it has seen the end of the five.
      const { session } = await until(
        () =>
          link.session(request).catch((error: unknown) => {
            if (error instanceof TidemarkError && error.code === 'relay_unreachable') return false;
            throw error;
          }),
        () => 'no connection became free',
      );
      await link.sender(session)(
        batchOf([
          ['s', 1, ITEM],
          ['B', position(1), '2026-11-23T08:00:00.000000Z', 'a'],
          ['i', 1, [[1, 'row']]],
          ['c', 1],
        ]),
      );
      const snapshot = () =>
        fetch(`${url}/v1/feeds/shop/snapshot`, { headers: { authorization: `Bearer ${terminal}` } });
      await expect.poll(async () => (await snapshot()).status, { timeout: 60_000 }).toBe(200);
      expect(running.stdout).not.toMatch(/EMFILE|snapshot-failed/);
    } finally {
      await running.stop('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe('bodies', () => {
  const digests = async (headers: string[], body = '', name = 'terminal') => {
    const { head } = (await (await relay.get(STATUS)).json()) as { head: { epoch: string } };
    const target = `/v1/feeds/shop/snapshots/${head.epoch}/all/1/digests`;
    return rawRequest(target, { method: 'POST', key: key(name), headers, body });
  };
  const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`;

  test('expect-100: the relay asks for a body only after it has accepted the key', async () => {
    await startRelay();
    const headers = ['expect: 100-continue', 'content-length: 10'];
    const target = '/v1/feeds/shop/troubles';
    const stranger = await open(rawRequest(target, { method: 'POST', key: 'nobody', headers }));
    await stranger.closed;
    expect(stranger.received).not.toContain('100 Continue');
    expect(stranger.statuses).toEqual([401]);
    const report = JSON.stringify({ fault: null, tables: [], more: 0 });
    const feed = await open(
      rawRequest(target, {
        method: 'POST',
        key: key('feed'),
        headers: ['expect: 100-continue', `content-length: ${report.length}`],
      }),
    );
    await expect.poll(() => feed.received, { timeout: SOON_MS }).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\n$/);
    feed.socket.write(report);
    await expect.poll(() => feed.statuses, { timeout: SOON_MS }).toEqual([100, 200]);
    const other = await open(rawRequest('/healthz', { headers: ['expect: 200-maybe', 'connection: close'] }));
    await other.closed;
    expect(codeOf(other.received)).toBe('request_invalid');
  });

  test.each([
    ['a body that no key permits', '/v1/feeds/shop/session', 'POST', undefined, 'token_invalid'],
    ['a body for a route that reads none', '/healthz', 'GET', undefined, undefined],
    ['a body that is too large', '/v1/feeds/shop/session', 'POST', 'feed', 'body_too_large'],
  ])('endless-body: %s is answered, and the connection is closed soon', async (_, target, method, name, code) => {
    await startRelay({ lingerMs: 300 });
    const headers = ['transfer-encoding: chunked'];
    const head = rawRequest(target, { method, headers, ...(name ? { key: key(name) } : {}) });
    const connections = await openMany(5, head);
    for (const connection of connections) connection.flood(chunk);
    await expectOthersServed();
    await Promise.all(connections.map(({ closed }) => closed));
    for (const { received } of connections) {
      expect(received).toMatch(/^HTTP\/1\.1 /);
      expect(codeOf(received)).toBe(code);
    }
  });

  test('refused-batch: a feed whose key is not accepted, or whose batch is too large, learns the reason', async () => {
    await startRelay();
    const batch = Buffer.alloc(30e6, 'x');
    await expect(new RelayLink(relay.url, 'shop', 'wrong').sender('s')(batch)).rejects.toMatchObject({
      code: 'token_invalid',
    });
    await expect(
      new RelayLink(relay.url, 'shop', key('feed')).sender('s')(Buffer.alloc(80e6, 'x')),
    ).rejects.toMatchObject({ code: 'body_too_large' });
    await expectOthersServed();
  });

  test.each<[string, string[], string]>([
    ['a body that is longer than its length', ['content-length: 2'], '{}{}{}'],
    ['both a length and chunks', ['content-length: 2', 'transfer-encoding: chunked'], '2\r\n{}\r\n0\r\n\r\n'],
    ['two lengths', ['content-length: 2', 'content-length: 3'], '{} '],
    ['a negative length', ['content-length: -1'], '{}'],
    ['a length that is no number', ['content-length: 2e1'], '{}'],
    ['chunks whose extensions do not end', ['transfer-encoding: chunked'], `2;${'a'.repeat(100_000)}`],
    ['trailers that do not end', ['transfer-encoding: chunked'], `2\r\n{}\r\n0\r\n${'a: b\r\n'.repeat(20_000)}`],
  ])('framing: %s ends the connection without a second answer', async (_, headers, body) => {
    await startRelay();
    const connection = await open(await digests(headers, body));
    await connection.closed;
    expect(connection.statuses.length).toBeLessThanOrEqual(2);
    for (const status of connection.statuses) expect(status).toBeGreaterThanOrEqual(400);
    expect(relay.events.filter(({ code }) => code === 'internal')).toEqual([]);
    await expectOthersServed();
  });

  test('no-host: HTTP/1.1 without a host is refused with a reason, HTTP/1.0 is served', async () => {
    await startRelay();
    const refused = await open('GET /healthz HTTP/1.1\r\nconnection: close\r\n\r\n');
    const old = await open('GET /healthz HTTP/1.0\r\n\r\n');
    await Promise.all([refused.closed, old.closed]);
    expect(refused.received).toContain('the header host is missing');
    expect(old.statuses).toEqual([200]);
    const tunnel = await open('CONNECT relay:80 HTTP/1.1\r\nhost: relay\r\n\r\n');
    await tunnel.closed;
    expect(tunnel.received).toBe('');
  });

  test('many-bodies: unfinished bodies of one key take no memory from another key', async () => {
    await startRelay();
    const head = await digests(['content-length: 1048000']);
    const half = 'x'.repeat(1_000_000);
    const connections = await openMany(10, head + half);
    await expect
      .poll(() => connections.filter(({ received }) => codeOf(received) === 'relay_busy').length, { timeout: SOON_MS })
      .toBe(2);
    const other = await open(await digests(['content-length: 2'], '{}', 'branch-9'));
    await expect.poll(() => codeOf(other.received), { timeout: SOON_MS }).toBe('snapshot_gone');
    await expectOthersServed();
  });
});

describe('requests of one key', () => {
  test('in-flight: a key with 32 unanswered requests is refused further ones, and other keys are not', async () => {
    await startRelay();
    const { head } = (await (await relay.get(STATUS)).json()) as { head: { epoch: string } };
    const unfinished = rawRequest(`/v1/feeds/shop/snapshots/${head.epoch}/all/1/digests`, {
      method: 'POST',
      key: key(),
      headers: ['content-length: 10'],
    });
    const connections = await openMany(32, unfinished);
    await expect.poll(async () => (await relay.get(STATUS)).status, { timeout: SOON_MS }).toBe(503);
    const refused = await relay.get(STATUS);
    expect(await refused.json()).toMatchObject({ code: 'relay_busy' });
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    await expectOthersServed();
    await connections[0]?.end();
    await expect.poll(async () => (await relay.get(STATUS)).status, { timeout: SOON_MS }).toBe(200);
  });

  test('lost-pipeline: requests that wait on a lost connection no longer count', async () => {
    await startRelay();
    const poll = await longPoll();
    const refused = () => relay.events.filter(({ code }) => code === 'relay_busy').length;
    const connection = await open(poll.repeat(17));
    await expect.poll(refused, { timeout: SOON_MS }).toBe(1);
    await connection.end();
    const again = await open(poll.repeat(16));
    await expectOthersServed();
    expect(refused()).toBe(1);
    await relay.commit('u', [[1, 'news']]);
    await expect.poll(() => again.statuses, { timeout: SOON_MS }).toEqual(Array(16).fill(200));
  });
});
