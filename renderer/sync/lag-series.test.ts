import fc from 'fast-check';
import { expect, test } from 'vitest';
import { axisTicks, lagSeries, niceTicks, peaks } from './lag-series.ts';

const HOUR = 3_600_000;
const FROM = Date.parse('2026-11-23T10:00:00Z');
const TO = FROM + HOUR;
const sample = (minute: number, waiting: number | null, lagMs: number | null = 0) => ({
  at: FROM + minute * 60_000,
  waiting,
  lagMs,
  sourceLagMs: null,
});

test('silence is a gap, not a line and not a zero', () => {
  const points = lagSeries([sample(1, 5), sample(2, 6), sample(3, 7), sample(40, 8), sample(41, 9)], FROM, TO);
  expect(points.map(({ waiting }) => waiting)).toEqual([5, 6, 7, null, 8, 9]);
});

test('what was not known stays not known', () => {
  expect(lagSeries([sample(1, null, null)], FROM, TO)).toEqual([{ at: FROM + 60_000, waiting: null, lag: null }]);
});

test('thinning loses no peak', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(59), fc.nat(100_000)), { minLength: 1, maxLength: 3000 }), (raw) => {
      const samples = raw.sort(([a], [b]) => a - b).map(([minute, waiting]) => sample(minute, waiting));
      const points = lagSeries(samples, FROM, TO);
      expect(Math.max(...points.map(({ waiting }) => waiting ?? 0))).toBe(
        Math.max(...raw.map(([, waiting]) => waiting)),
      );
      expect(points.length).toBeLessThan(600);
    }),
    { numRuns: 50 },
  );
});

test('samples outside the range are left out', () => {
  expect(lagSeries([sample(-1, 5), sample(61, 5)], FROM, TO)).toEqual([]);
});

test('the summary rests on the samples themselves', () => {
  const { waiting, last } = peaks([sample(1, 50), sample(2, 900), sample(3, 10), sample(4, null)]);
  expect([waiting?.waiting, last?.waiting]).toEqual([900, 10]);
  expect(peaks([sample(1, null, null)])).toEqual({ waiting: null, lag: null, last: null });
});

test('an axis starts at 0, covers the top and has few steps', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e9, noNaN: true }), fc.constantFrom(1, 4), (top, least) => {
      const ticks = niceTicks(top, least);
      expect(ticks[0]).toBe(0);
      expect(ticks.at(-1)).toBeGreaterThanOrEqual(Math.max(top, least));
      expect(ticks.length).toBeGreaterThanOrEqual(2);
      expect(ticks.length).toBeLessThanOrEqual(6);
    }),
  );
});

test.each([1, 24, 168])('an axis of %s h has at most eight moments, in order and within', (hours) => {
  const ticks = axisTicks(TO - hours * HOUR, TO);
  expect(ticks.length).toBeGreaterThan(3);
  expect(ticks.length).toBeLessThanOrEqual(8);
  expect(ticks.every((at) => at >= TO - hours * HOUR && at <= TO)).toBe(true);
});
