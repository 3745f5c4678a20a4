import net from 'node:net';
import { TestRelay } from '@tidemark/testing/test-relay';
import { expect, onTestFinished, test } from 'vitest';

test('B19 hostile-key: 30 requests of one key at once do not delay a later request of another key', async () => {
  const relay = await TestRelay.start('{}', { hostile: {} });
  onTestFinished(() => relay.stop());
  await relay.base(10);
  const answered: string[] = [];
  const connect = (key: string) =>
    new Promise<net.Socket>((resolve) => {
      const socket = net.connect(Number(new URL(relay.url).port), '127.0.0.1', () => resolve(socket));
      socket.on('data', () => answered.push(key));
      onTestFinished(() => void socket.destroy());
    });
  const keys = [...Array.from({ length: 30 }, () => 'hostile'), 'terminal'];
  const sockets: [string, net.Socket][] = [];
  for (const key of keys) sockets.push([key, await connect(key)]);
  for (const [key, socket] of sockets)
    socket.write(`GET /v1/feeds/shop/status HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${relay.token(key)}\r\n\r\n`);
  await expect.poll(() => answered.length, { timeout: 60_000 }).toBe(keys.length);
  expect(answered.indexOf('terminal')).toBeLessThan(10);
});
