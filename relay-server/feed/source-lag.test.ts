import { beforeEach, expect, test } from 'vitest';
import { SourceLag } from './source-lag.ts';

const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 12, 0, second)).toISOString();
const heartbeat = (second: number, current: boolean) => ({ position: '0'.repeat(16), masterTime: at(second), current });

let nowMs: number;
let lag: SourceLag;
beforeEach(() => {
  nowMs = Date.parse(at(0));
  lag = new SourceLag(() => nowMs);
});

test('reports no lag and no contact before the first batch', () => {
  expect([lag.lagMs, lag.heardAtMs, lag.connected]).toEqual([null, null, false]);
});

test('a heartbeat sent from the end of the log sets the lag to zero', () => {
  lag.onBatch(heartbeat(30, true), at(0));
  expect(lag.lagMs).toBe(0);
});

test('after a heartbeat sent before the end of the log, the lag counts from the last complete moment', () => {
  lag.onBatch(heartbeat(10, true), at(0));
  lag.onBatch(heartbeat(25, false), at(5));
  expect(lag.lagMs).toBe(15_000);
});

test('the lag counts from the newest transaction if that is later than the last complete moment', () => {
  lag.onBatch(heartbeat(10, true), at(0));
  lag.onBatch(heartbeat(25, false), at(20));
  expect(lag.lagMs).toBe(5_000);
});

test("without a heartbeat, the relay's clock determines the lag, which is never negative", () => {
  nowMs = Date.parse(at(40));
  lag.onBatch(null, at(30));
  expect(lag.lagMs).toBe(10_000);
  lag.onBatch(null, at(50));
  expect(lag.lagMs).toBe(0);
});

test('the lag is unknown before the first transaction', () => {
  lag.onBatch(null, null);
  expect(lag.lagMs).toBeNull();
});

test('a feed counts as connected until it has been silent for 20 s', () => {
  lag.onBatch(null, null);
  nowMs += 19_999;
  expect(lag.connected).toBe(true);
  nowMs += 1;
  expect(lag.connected).toBe(false);
});
