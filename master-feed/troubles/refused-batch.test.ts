import type { Server } from 'node:http';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { TidemarkError, toProblem } from '@tidemark/protocol/errors';
import { PATHS } from '@tidemark/protocol/paths';
import { isAfter } from '@tidemark/protocol/position';
import { FakeMaster } from '@tidemark/testing/fake-master';
import { FakeSource } from '@tidemark/testing/fake-source';
import { MemoryRelay } from '@tidemark/testing/memory-relay';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { runFeed } from '../feed.ts';
import { RelayLink } from '../relay-link.ts';

/**
 * F22: a batch that is refused each time, over HTTP. The feed gets past it, and an outage is never taken for such a
 * batch.
 */

vi.hoisted(() => {
  process.env.TIDEMARK_HEARTBEAT_MS = '100';
});

const LIMIT_MS = 120_000;
const HTML = { 'content-type': 'text/html' };

/** The answer of a proxy to a batch, in place of the relay. Null: the proxy passes the batch on. */
type Refusal = { status: number; body?: string } | null;

describe('a batch that is refused each time', { timeout: LIMIT_MS }, () => {
  let master: FakeMaster;
  let relay: MemoryRelay;
  let server: Server;
  let stop: AbortController;
  let ended: Promise<void>;
  let events: { event: string; fields: Record<string, unknown> }[];
  let refuse: (batch: Buffer) => Refusal;
  /** Whether the relay is down, so that the proxy answers in its place. */
  let outage: number | null;

  async function answer(request: http.IncomingMessage): Promise<{ status: number; body: string }> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    if (outage !== null) return { status: outage, body: 'no relay' };
    if (request.url === PATHS.session('shop'))
      return { status: 200, body: JSON.stringify(await relay.session(JSON.parse(body.toString()))) };
    const refusal = refuse(body);
    if (refusal !== null) return { body: 'refused', ...refusal };
    try {
      const send = relay.sender(String(request.headers['tidemark-session']));
      return { status: 200, body: JSON.stringify(await send(body)) };
    } catch (error) {
      const problem = toProblem(error as TidemarkError);
      return { status: problem.status, body: JSON.stringify(problem) };
    }
  }

  beforeEach(async () => {
    master = new FakeMaster();
    relay = new MemoryRelay();
    events = [];
    refuse = () => null;
    outage = null;
    for (const table of ['item', 'other']) master.createTable(table, [{ op: 'insert', table, row: [1, 'one'] }]);
    server = http.createServer((request, response) => {
      void answer(request).then(({ status, body }) => response.writeHead(status, HTML).end(body));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    stop = new AbortController();
    ended = runFeed(
      {
        source: new FakeSource(master),
        relay: new RelayLink(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, 'shop', 'key'),
        version: 'test',
        log: (event, fields = {}) => void events.push({ event, fields }),
        random: () => 0,
        now: Date.now,
      },
      stop.signal,
    );
    ended.catch(() => undefined);
    await settled();
  });
  afterEach(async () => {
    stop.abort();
    await ended;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    relay.close();
  });

  const times = (event: string) => events.filter((each) => each.event === event).length;
  const of = (event: string) => events.filter((each) => each.event === event).map(({ fields }) => fields);
  const reasons = () => Object.fromEntries(Object.entries(relay.marks()).map(([name, { reason }]) => [name, reason]));

  async function settled(): Promise<void> {
    const position = master.end();
    await poll(() => relay.position !== null && !isAfter(position, relay.position), true);
  }

  async function poll<T>(value: () => T, expected: T): Promise<void> {
    await expect.poll(value, { timeout: LIMIT_MS }).toEqual(expected);
  }

  const rows = (table: string, count: number, bytes: number, from = 10) =>
    Array.from({ length: count }, (_, i) => ({
      op: 'insert' as const,
      table,
      row: [from + i, 'x'.repeat(bytes)] as [number, string],
    }));

  test('a limit of the proxy on the size of a request: smaller batches arrive, and the log names size and place', async () => {
    refuse = (batch) => (batch.length > 300_000 ? { status: 413 } : null);
    const before = relay.position;
    master.commit(rows('item', 200, 20_000));
    await settled();
    master.commit(rows('other', 1, 10));
    await settled();
    expect([relay.rows('item').length, relay.rows('other').length]).toEqual([201, 2]);
    expect(of('batch-refused')[0]).toMatchObject({ status: 413, position: before, tables: 1 });
    expect(Number(of('batch-refused')[0]?.bytes)).toBeGreaterThan(300_000);
    expect(Number(of('smaller-batches').at(-1)?.bytes)).toBeLessThanOrEqual(300_000);
    expect([reasons(), times('base-copy')]).toEqual([{}, 1]);
  });

  test('a row larger than that limit sets its table aside and names the proxy', async () => {
    refuse = (batch) => (batch.length > 300_000 ? { status: 413 } : null);
    master.commit([...rows('other', 1, 10), ...rows('item', 1, 400_000), ...rows('other', 1, 10, 20)]);
    await settled();
    expect(reasons()).toEqual({ item: 'row_too_large' });
    expect(relay.rows('other').map(([id]) => id)).toEqual([1, 10, 20]);
    expect(of('set-aside')).toMatchObject([{ table: 'item', todo: expect.stringContaining('proxy') }]);
    expect(times('base-copy')).toBe(1);
  });

  test.each([
    ['a proxy answers 502', { status: 502 }],
    ['a proxy answers 504', { status: 504 }],
    ['a firewall answers 403', { status: 403 }],
    [
      'the relay refuses it without a table',
      { status: 400, body: JSON.stringify(toProblem(new TidemarkError('batch_invalid', { detail: 'line 1' }))) },
    ],
  ])('%s to the rows of one table: the table is set aside', async (_, refusal) => {
    refuse = (batch) => (batch.includes('poison') ? refusal : null);
    master.commit([{ op: 'insert', table: 'item', row: [2, 'poison'] }]);
    master.commit(rows('other', 1, 10));
    await settled();
    expect(reasons()).toEqual({ item: 'other' });
    expect(relay.rows('other').map(([id]) => id)).toEqual([1, 10]);
    expect(times('batch-refused')).toBeGreaterThanOrEqual(3);
  });

  test('a batch of two tables that is always refused: a base copy continues after it', async () => {
    refuse = (batch) => (batch.includes('poison') && batch.includes('["b"') ? { status: 502 } : null);
    master.commit([
      { op: 'insert', table: 'item', row: [2, 'poison'] },
      { op: 'insert', table: 'other', row: [2, 'poison'] },
    ]);
    await settled();
    expect(times('base-copy')).toBe(2);
    expect([reasons(), relay.rows('item').length, relay.rows('other').length]).toEqual([{}, 2, 2]);
  });

  test.each([503, 502, 504])('an outage of the relay (HTTP %i) is never taken for such a batch', async (status) => {
    let lost = 0;
    // The proxy also loses the relay between a session and its first batch.
    refuse = () => (++lost <= 4 ? { status } : null);
    outage = status;
    master.commit(rows('item', 3, 10));
    await poll(() => times('fault') >= 3, true);
    outage = null;
    await settled();
    expect(relay.rows('item').length).toBe(4);
    expect([reasons(), times('base-copy'), times('smaller-batches')]).toEqual([{}, 1, 0]);
  });

  test('an outage in which a proxy answers 413 to every batch, even to a heartbeat, sets no table aside', async () => {
    let refused = 0;
    refuse = () => (++refused <= 8 ? { status: 413 } : null);
    master.commit([...rows('item', 3, 10), ...rows('other', 1, 10)]);
    await settled();
    expect(refused).toBeGreaterThan(8);
    expect([relay.rows('item').length, relay.rows('other').length]).toEqual([4, 2]);
    expect([reasons(), times('set-aside'), times('base-copy')]).toEqual([{}, 0, 1]);
  });
});

describe('F23: the answer to the last batch', { timeout: LIMIT_MS }, () => {
  test('is lost for a base copy and for a re-read: the feed sends neither again', async () => {
    const master = new FakeMaster();
    const relay = new MemoryRelay();
    master.createTable('item', [{ op: 'insert', table: 'item', row: [1, 'one'] }]);
    const events: string[] = [];
    let lost = 0;
    const stop = new AbortController();
    const ended = runFeed(
      {
        source: new FakeSource(master),
        relay: {
          session: (request) => relay.session(request),
          sender: (session) => {
            const send = relay.sender(session);
            return async (batch) => {
              const answer = await send(batch);
              if (batch.includes('\n["c"') && (batch.includes('["B"') || batch.includes('["L"'))) {
                lost++;
                throw new TidemarkError('relay_timeout', { relay: 'test' });
              }
              return answer;
            };
          },
        },
        version: 'test',
        log: (event) => void events.push(event),
        random: () => 0,
        now: Date.now,
      },
      stop.signal,
    );
    ended.catch(() => undefined);
    const times = (event: string) => events.filter((each) => each === event).length;
    await expect.poll(() => times('streaming'), { timeout: LIMIT_MS }).toBe(1);
    expect([lost, times('base-copy'), times('re-read')]).toEqual([1, 1, 0]);
    master.addColumn('item', 'size');
    await expect.poll(() => times('streaming'), { timeout: LIMIT_MS }).toBe(2);
    expect([lost, times('base-copy'), times('re-read')]).toEqual([2, 1, 1]);
    expect(relay.rows('item')).toEqual([[1, 'one', 'new']]);
    stop.abort();
    await ended;
    relay.close();
  });
});
