import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ReadyPage } from '../pages/compression.ts';
import { READING, sendPage } from './send.ts';

const MIB = 1024 * 1024;
/** More than the socket buffers of this machine hold. */
const LARGE: ReadyPage = { bytes: Buffer.alloc(64 * MIB), coding: 'identity' };

let server: Server;
let port: number;
let limits: typeof READING;
let page: ReadyPage;
/** When each answer was released, in ms. */
let releasedMs: number[];
let onRelease: () => void;
beforeEach(async () => {
  limits = READING;
  page = LARGE;
  releasedMs = [];
  onRelease = () => undefined;
  server = createServer((_request, response) => {
    const release = () => {
      releasedMs.push(performance.now());
      onRelease();
    };
    sendPage(response, { page, release }, {}, limits);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
});
afterEach(() => {
  server.close();
  server.closeAllConnections();
});

const released = (answers: number) =>
  new Promise<void>((resolve) => {
    onRelease = () => releasedMs.length >= answers && resolve();
  });

/** Sends pipelined requests on one connection and does not read. */
async function ask(requests: number): Promise<net.Socket> {
  const socket = net.connect(port, '127.0.0.1');
  socket.pause();
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(requests));
  return socket;
}

test('B5 never-reads: the relay disconnects the client, and releases its pipelined answers too', async () => {
  limits = { ...READING, pauseMs: 300 };
  const all = released(3);
  const beginMs = performance.now();
  const socket = await ask(3);
  await all;
  expect(releasedMs).toHaveLength(3);
  expect((releasedMs[0] ?? 0) - beginMs).toBeGreaterThanOrEqual(300);
  socket.resume();
  await once(socket, 'close');
});

test('B5 reads-slowly: a client that keeps taking bytes receives its page', async () => {
  limits = { ...READING, pauseMs: 1_000 };
  const all = released(1);
  const beginMs = performance.now();
  const socket = await ask(1);
  let bytes = 0;
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    // Pauses often, and each time for less than the limit.
    if (Math.floor(bytes / (8 * MIB)) === Math.floor((bytes - chunk.length) / (8 * MIB))) return;
    socket.pause();
    void sleep(300).then(() => socket.resume());
  });
  socket.resume();
  await all;
  expect((releasedMs[0] ?? 0) - beginMs).toBeGreaterThan(2_000);
  while (bytes < LARGE.bytes.length) await once(socket, 'data');
  socket.destroy();
});

test('B5 trickle: a client that reads slower than the slowest rate is disconnected', async () => {
  limits = { pauseMs: 1_000, bytesPerSecond: 64 * MIB };
  const all = released(1);
  const beginMs = performance.now();
  const socket = await ask(1);
  let closed = false;
  socket.on('close', () => {
    closed = true;
  });
  const trickle = setInterval(() => socket.read(64 * 1024), 20);
  await all;
  // The limit for this page is 1 s, and 1 s for its 64 MiB.
  expect((releasedMs[0] ?? 0) - beginMs).toBeGreaterThanOrEqual(2_000);
  clearInterval(trickle);
  socket.resume();
  if (!closed) await once(socket, 'close');
});

test('B5 idle-connection: the limits end with the answer, and the connection serves the next request', async () => {
  limits = { ...READING, pauseMs: 200 };
  page = { bytes: Buffer.from('a page'), coding: 'identity' };
  const socket = await ask(1);
  socket.resume();
  const [first] = (await once(socket, 'data')) as [Buffer];
  expect(first.toString()).toContain('a page');
  await sleep(500);
  socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  const [second] = (await once(socket, 'data')) as [Buffer];
  expect(second.toString()).toContain('a page');
  expect(releasedMs).toHaveLength(2);
  socket.destroy();
});
