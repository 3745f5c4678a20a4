import { once } from 'node:events';
import net from 'node:net';
import type { Worker } from 'node:worker_threads';
import { TestRelay } from '@tidemark/testing/test-relay';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

/** The relay bounds the effect of a terminal that asks for many pages, or does not read them, on other terminals. */

/** Number of transactions of about 1 MB, and so of different pages. */
const PAGES = 64;

let relay: TestRelay;
let epoch: string;
beforeEach(async () => {
  relay = await TestRelay.start('{}', { hostile: {} });
  await relay.base(1);
  for (let n = 1; n <= PAGES; n++)
    await relay.commit(
      'i',
      Array.from({ length: 1000 }, (_, row) => [n * 1000 + row, `transaction ${n} row ${row} `.padEnd(1000, 'x')]),
    );
  const status = await relay.get('/v1/feeds/shop/status');
  epoch = ((await status.json()) as { head: { epoch: string } }).head.epoch;
});
afterEach(() => relay.stop());

const page = (start: number, target = PAGES + 1) => `/v1/feeds/shop/pages/${epoch}/all/${start}/${target}`;

test('B3 pipelined-pages: a key that never reads fills only its own part of the queue', async () => {
  const { hostname, port } = new URL(relay.url);
  const socket = net.connect(Number(port), hostname);
  try {
    socket.on('error', () => undefined).pause();
    await once(socket, 'connect');
    for (let start = 1; start <= PAGES; start++)
      socket.write(`GET ${page(start)} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${relay.token('hostile')}\r\n\r\n`);
    // The relay refuses the requests for which the key has no place.
    await expect.poll(() => relay.events.some(({ code }) => code === 'relay_busy')).toBe(true);
    const answer = await relay.get(page(1, 2), relay.token('hostile'));
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('1');
    expect(await answer.json()).toMatchObject({ code: 'relay_busy' });
    // Another key does not wait for these requests, whether a page is ready or not.
    for (const start of [1, PAGES]) {
      const beginMs = performance.now();
      const other = await relay.get(page(start));
      expect(other.status).toBe(200);
      await other.arrayBuffer();
      expect(performance.now() - beginMs).toBeLessThan(5_000);
    }
  } finally {
    socket.destroy();
  }
  // The relay drops the requests of the client that has gone.
  await expect.poll(async () => (await relay.get(page(1, 2), relay.token('hostile'))).status).toBe(200);
});

test('another-coding: a page is compressed from the ready one, without reading the log again', async () => {
  const methods: string[] = [];
  const onWorker = (worker: Worker) => {
    const post = worker.postMessage.bind(worker);
    vi.spyOn(worker, 'postMessage').mockImplementation((message: { method: string }, transfer) => {
      methods.push(message.method);
      post(message, transfer as ArrayBuffer[]);
    });
  };
  process.on('worker', onWorker);
  try {
    const bodies: Buffer[] = [];
    for (const coding of ['identity', 'zstd', 'zstd', 'gzip']) {
      const answer = await relay.get(page(1), relay.token('terminal'), { 'accept-encoding': coding });
      expect(answer.headers.get('content-encoding') ?? 'identity').toBe(coding);
      bodies.push(Buffer.from(await answer.arrayBuffer()));
    }
    for (const body of bodies) expect(body.equals(bodies[0] ?? Buffer.alloc(0))).toBe(true);
    // The event about the thread arrives after its first message, which asks for the page in the log.
    expect(methods).toEqual(['compress', 'compress']);
  } finally {
    process.off('worker', onWorker);
  }
});
