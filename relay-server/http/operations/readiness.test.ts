import { expect, test } from 'vitest';
import { SourceLag } from '../../freshness/source-lag.ts';
import { readinessOf } from './readiness.ts';

const feed = (fault: string | null, heard: boolean) => {
  const now = { wallMs: 0, monotonicMs: 0 };
  const lag = new SourceLag(() => now);
  if (heard) lag.onBatch(now);
  return { lag, connected: lag.heard, storeFault: () => fault };
};
const { signal } = new AbortController();

test('a relay whose feeds are silent is ready and reports the silence', () => {
  const feeds = new Map([
    ['office', feed(null, false)],
    ['shop', feed(null, true)],
  ]);
  expect(readinessOf(feeds, signal)).toEqual({
    ready: true,
    checks: [
      { name: 'accepting', ok: true, detail: '' },
      { name: 'store office', ok: true, detail: '' },
      { name: 'store shop', ok: true, detail: '' },
    ],
    warnings: [],
    feeds: [
      { name: 'office', connected: false, lagMs: null },
      { name: 'shop', connected: true, lagMs: 0 },
    ],
  });
});

test('a relay that cannot read a store is not ready and names the store', () => {
  expect(readinessOf(new Map([['shop', feed('The database shop is damaged.', true)]]), signal)).toMatchObject({
    ready: false,
    checks: [{ ok: true }, { name: 'store shop', ok: false, detail: 'The database shop is damaged.' }],
  });
});

test('a relay that is stopping is not ready and does not check its stores', () => {
  const unexpected = () => {
    throw new Error('the store is being closed');
  };
  const feeds = new Map([['shop', { ...feed(null, true), storeFault: unexpected }]]);
  expect(readinessOf(feeds, AbortSignal.abort())).toMatchObject({
    ready: false,
    checks: [{ name: 'accepting', ok: false, detail: 'the relay is stopping' }, { ok: true }],
  });
});
