import { expect, test } from 'vitest';
import { ENTRY_BYTES, ReadyPages } from './ready-pages.ts';

const pageOf = (sizeBytes: number) => ({ bytes: Buffer.alloc(sizeBytes), coding: 'identity' }) as const;
/** Size of an entry of 1,000 bytes with a name of one character. */
const SIZE = 1000 + 1 + ENTRY_BYTES;

test('evicts the least recently used pages above the size limit', () => {
  const pages = new ReadyPages(3 * SIZE);
  const built: string[] = [];
  for (const name of ['a', 'b', 'c', 'a', 'd', 'a', 'c', 'b']) {
    if (pages.get(name)) continue;
    built.push(name);
    pages.set(name, pageOf(1000));
  }
  // d evicts b, the least recently used; then b evicts d.
  expect(built).toEqual(['a', 'b', 'c', 'd', 'b']);
});

test('does not keep a page that is larger than the limit, and keeps the others', () => {
  const pages = new ReadyPages(3 * SIZE);
  pages.set('a', pageOf(1000));
  pages.set('b', pageOf(3 * SIZE));
  expect(pages.get('b')).toBeUndefined();
  expect(pages.get('a')).toBeDefined();
});

test('small-pages: the limit also bounds the number of pages', () => {
  const pages = new ReadyPages(1000 * ENTRY_BYTES);
  for (let n = 0; n < 10_000; n++) pages.set(`page ${n}`, pageOf(0));
  const kept = Array.from({ length: 10_000 }, (_, n) => pages.get(`page ${n}`)).filter(Boolean);
  expect(kept.length).toBeGreaterThan(900);
  expect(kept.length).toBeLessThanOrEqual(1000);
});
