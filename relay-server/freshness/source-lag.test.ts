import { beforeEach, expect, test } from 'vitest';
import { after, type Moment } from './moment.ts';
import { SourceLag } from './source-lag.ts';

let now: Moment;
let lag: SourceLag;
const pass = (ms: number) => {
  now = after(now, ms);
};
beforeEach(() => {
  now = { wallMs: Date.UTC(2026, 0, 1), monotonicMs: 5_000 };
  lag = new SourceLag(() => now);
});

test('S12: the lag is unknown and the feed silent before the first batch', () => {
  expect([lag.lagMs, lag.heardAtMs, lag.heard]).toEqual([null, null, false]);
});

test('S12: the lag stays unknown, never 0, until the first current heartbeat', () => {
  lag.onBatch(null);
  pass(60_000);
  lag.onBatch(null);
  expect([lag.lagMs, lag.heard]).toEqual([null, true]);
});

test('S12: the lag grows while nothing arrives', () => {
  lag.onBatch(now);
  expect(lag.lagMs).toBe(0);
  pass(90_000);
  expect([lag.lagMs, lag.heard]).toEqual([90_000, false]);
});

test('S12: the lag grows while batches arrive without a current heartbeat', () => {
  lag.onBatch(now);
  for (let n = 0; n < 12; n++) {
    pass(5_000);
    lag.onBatch(null);
  }
  expect([lag.lagMs, lag.heard]).toEqual([60_000, true]);
});

test('S12: a heartbeat that waited on the way counts from when the feed read the end of the log', () => {
  const sampledAt = now;
  pass(240_000);
  lag.onBatch(sampledAt);
  expect(lag.lagMs).toBe(240_000);
});

test('S12: an older heartbeat does not set the lag back', () => {
  const before = now;
  pass(10_000);
  lag.onBatch(now);
  lag.onBatch(before);
  expect(lag.lagMs).toBe(0);
});

test("clock-set-back: the lag and the silence keep growing when the relay's clock is set back an hour", () => {
  lag.onBatch(now);
  pass(30_000);
  now = { ...now, wallMs: now.wallMs - 3_600_000 };
  expect([lag.lagMs, lag.heard]).toEqual([30_000, false]);
});

test('machine-suspended: the lag includes the time during which the monotonic clock did not run', () => {
  lag.onBatch(now);
  now = { ...now, wallMs: now.wallMs + 3_600_000 };
  expect([lag.lagMs, lag.heard]).toEqual([3_600_000, false]);
});

test('a feed counts as silent after 20 s', () => {
  lag.onBatch(null);
  pass(19_999);
  expect(lag.heard).toBe(true);
  pass(1);
  expect(lag.heard).toBe(false);
});
