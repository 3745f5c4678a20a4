import { once } from 'node:events';
import { rmSync } from 'node:fs';
import path from 'node:path';
import type { Worker } from 'node:worker_threads';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { type Epoch, seq } from '@tidemark/protocol/cursor';
import type { ScopeSet } from '@tidemark/protocol/page';
import { openReader, type Reader } from '@tidemark/table-store/sqlite';
import { TestRelay } from '@tidemark/testing/test-relay';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Coding } from '../compression.ts';
import { PageReader } from './page-reader.ts';
import { PageThread } from './page-thread.ts';

let relay: TestRelay;
let file: string;
let thread: PageThread;
let db: Reader;
let epoch: Epoch;
let workers: Worker[];
const onWorker = (worker: Worker) => workers.push(worker);
beforeEach(async () => {
  relay = await TestRelay.start();
  await relay.base(3);
  for (let n = 0; n < 40; n++)
    await relay.commit(
      'i',
      Array.from({ length: 100 }, (_, row) => [1000 * n + row, `row ${row} of transaction ${n} ${'x'.repeat(600)}`]),
    );
  file = path.join(relay.folder, 'relay-data', 'shop', 'feed.sqlite');
  db = openReader(file);
  epoch = db.prepare('SELECT epoch FROM tidemark_feed').pluck().get() as Epoch;
  workers = [];
  process.on('worker', onWorker);
  thread = new PageThread({ file, feed: 'shop', filters: {} });
});
afterEach(async () => {
  process.off('worker', onWorker);
  await thread.close();
  db.close();
  await relay.stop();
  rmSync(relay.folder, { recursive: true, force: true });
});

const set = { id: 'all' as ScopeSet, scopes: ['*'], attributes: {} };
const requestOf = (start: number, coding: Coding = 'identity', target = 41) => ({
  ...{ epoch, set, coding },
  start: { seq: seq(start), part: 0 },
  target: seq(target),
});

test('S3: the thread returns the same bytes as a reader in this thread, in each coding', async () => {
  const reader = new PageReader(db, 'shop', {});
  const decoded = { identity: (page: Buffer) => page, gzip: gunzipSync, zstd: zstdDecompressSync };
  for (const start of [1, 2, 17, 39, 41])
    for (const coding of ['identity', 'gzip', 'zstd'] as const) {
      const page = await thread.page(requestOf(start, coding));
      const plain = reader.page(epoch, set, { seq: seq(start), part: 0 }, seq(41));
      expect(decoded[page.coding](page.bytes).equals(plain)).toBe(true);
      expect(page.coding).toBe(plain.length < 1024 ? 'identity' : coding);
      // The buffer holds only the page.
      expect(page.bytes.buffer.byteLength).toBe(page.bytes.length);
    }
});

test('the ratio covers all pages compressed so far, and no page that is too small to be compressed', async () => {
  const compress = (size: number, coding: Coding) => thread.compress(new Uint8Array(size), coding);
  expect((await compress(1023, 'zstd')).coding).toBe('identity');
  expect((await compress(5000, 'identity')).bytes.length).toBe(5000);
  expect(thread.ratio).toBeNull();
  const { bytes: small } = await compress(10_000, 'gzip');
  expect(gunzipSync(small).length).toBe(10_000);
  expect(thread.ratio).toBe(small.length / 10_000);
});

test('retention-while-waiting: the thread checks the range again when it reads the page', async () => {
  const code = (request: Parameters<PageThread['page']>[0]) =>
    thread.page(request).then(
      () => null,
      (error: { code: string }) => error.code,
    );
  expect(await code(requestOf(2))).toBeNull();
  await relay.restart('{ retention: { days: 1, megabytes: 1 } }', Date.now());
  const horizon = db.prepare('SELECT horizon FROM tidemark_feed').pluck().get() as number;
  expect(horizon).toBeGreaterThan(2);
  expect(await code(requestOf(2))).toBe('behind_horizon');
  expect(await code(requestOf(horizon))).toBeNull();
  expect(await code(requestOf(horizon, 'identity', 42))).toBe('target_invalid');
  expect(await code(requestOf(42, 'identity', 42))).toBe('cursor_ahead');
  expect(await code({ ...requestOf(horizon), epoch: 'aaaaaaaaaaaaaaaa' as Epoch })).toBe('epoch_changed');
});

test('killed-while-reading: pending requests are rejected, and the next one gets its page', async () => {
  const before = await thread.page(requestOf(2));
  // More than the thread can read before it ends.
  const pending = Promise.allSettled(Array.from({ length: 200 }, () => thread.page(requestOf(2))));
  const [worker] = workers;
  if (!worker) throw new Error('there is no thread');
  const ended = once(worker, 'exit');
  await worker.terminate();
  await ended;
  expect((await pending).at(-1)).toMatchObject({ status: 'rejected', reason: { code: 'internal' } });
  expect((await thread.page(requestOf(2))).bytes.equals(before.bytes)).toBe(true);
  expect(workers).toHaveLength(2);
});
