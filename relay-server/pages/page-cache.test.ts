import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { expect, test, vi } from 'vitest';
import { PageCache } from './page-cache.ts';

const bytes = (size: number, fill = 'x') => Buffer.alloc(size, fill);

test('builds a page once for concurrent and later requests', async () => {
  const cache = new PageCache(1_000_000);
  const build = vi.fn(async () => bytes(5000));
  const pages = await Promise.all([1, 2, 3].map(() => cache.get('a', 'gzip', build)));
  pages.push(await cache.get('a', 'gzip', build));
  expect(build).toHaveBeenCalledTimes(1);
  for (const page of pages) expect(gunzipSync(page.bytes)).toEqual(bytes(5000));
});

test('compresses each coding from the uncompressed page in the cache', async () => {
  const cache = new PageCache(1_000_000);
  const build = vi.fn(() => bytes(5000));
  expect(await cache.get('a', 'identity', build)).toEqual({ bytes: bytes(5000), coding: 'identity' });
  const page = await cache.get('a', 'zstd', build);
  expect(page.coding).toBe('zstd');
  expect(zstdDecompressSync(page.bytes)).toEqual(bytes(5000));
  expect(build).toHaveBeenCalledTimes(1);
});

test('does not compress a small page', async () => {
  const cache = new PageCache(1_000_000);
  expect(await cache.get('a', 'zstd', () => bytes(1023))).toEqual({ bytes: bytes(1023), coding: 'identity' });
  expect(cache.ratio).toBeNull();
});

test('the ratio covers all pages compressed so far', async () => {
  const cache = new PageCache(1_000_000);
  const { bytes: small } = await cache.get('a', 'gzip', () => bytes(10_000));
  expect(cache.ratio).toBe(small.length / 10_000);
});

test('a failed build rejects all waiting requests, and the next request builds again', async () => {
  const cache = new PageCache(1_000_000);
  const failing = () => Promise.reject(new Error('no disk'));
  const results = await Promise.allSettled([cache.get('a', 'gzip', failing), cache.get('a', 'gzip', failing)]);
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(await cache.get('a', 'identity', () => bytes(3))).toMatchObject({ coding: 'identity' });
});

test('evicts the least recently used pages above the size limit', async () => {
  const cache = new PageCache(3000);
  const builds: string[] = [];
  const get = (name: string) =>
    cache.get(name, 'identity', () => {
      builds.push(name);
      return bytes(1000);
    });
  for (const name of ['a', 'b', 'c', 'a', 'd', 'a', 'c', 'b']) await get(name);
  // d evicts b, the least recently used; then b evicts d.
  expect(builds).toEqual(['a', 'b', 'c', 'd', 'b']);
});

test('a page counts towards the size limit only after it is built', async () => {
  const cache = new PageCache(3000);
  const finish: (() => void)[] = [];
  const slow = (name: string) =>
    cache.get(name, 'identity', () => new Promise((resolve) => finish.push(() => resolve(bytes(1000)))));
  const pending = ['a', 'b', 'c', 'd', 'e'].map(slow);
  for (const done of finish) done();
  await Promise.all(pending);
  const rebuilt = vi.fn(() => bytes(1000));
  for (const name of ['c', 'd', 'e']) await cache.get(name, 'identity', rebuilt);
  expect(rebuilt).not.toHaveBeenCalled();
  for (const name of ['a', 'b']) await cache.get(name, 'identity', rebuilt);
  expect(rebuilt).toHaveBeenCalledTimes(2);
});

test('serves a page that is larger than the limit, and does not keep it', async () => {
  const cache = new PageCache(3000);
  await cache.get('small', 'identity', () => bytes(1000));
  const large = vi.fn(() => bytes(4000));
  for (let n = 0; n < 2; n++) expect((await cache.get('large', 'identity', large)).bytes.length).toBe(4000);
  expect(large).toHaveBeenCalledTimes(2);
  const small = vi.fn(() => bytes(1000));
  await cache.get('small', 'identity', small);
  expect(small).not.toHaveBeenCalled();
});
