import fc from 'fast-check';
import { expect, test } from 'vitest';
import { lagSeries, peaks } from './lag-series.ts';

const HOUR = 3_600_000;
const FROM = Date.parse('2026-11-23T10:00:00Z');
const TO = FROM + HOUR;
const sample = (minute: number, waiting: number | null, lagMs: number | null = 0) => ({
  at: FROM + minute * 60_000,
  waiting,
  lagMs,
  sourceLagMs: null,
});

test('shows a period without samples as a gap', () => {
  const points = lagSeries([sample(1, 5), sample(2, 6), sample(3, 7), sample(40, 8), sample(41, 9)], FROM, TO);
  expect(points.map(({ waiting }) => waiting)).toEqual([5, 6, 7, null, 8, 9]);
});

test('keeps unknown values null', () => {
  expect(lagSeries([sample(1, null, null)], FROM, TO)).toEqual([{ at: FROM + 60_000, waiting: null, lagMs: null }]);
});

test('keeps the highest value when it reduces the number of points', () => {
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

test('ignores samples outside the range', () => {
  expect(lagSeries([sample(-1, 5), sample(61, 5)], FROM, TO)).toEqual([]);
});

test('computes the peaks from the samples, not from the reduced points', () => {
  const { waiting } = peaks([sample(1, 50), sample(2, 900), sample(3, 10), sample(4, null)]);
  expect(waiting?.waiting).toBe(900);
  expect(peaks([sample(1, null, null)])).toEqual({ waiting: null, lag: null });
});

test('ends with the last sample, not with an earlier peak beside it', () => {
  const points = lagSeries([sample(1, 5), sample(59, 320_000), sample(59.1, 0)], FROM, TO);
  expect(points.map(({ waiting }) => waiting)).toEqual([5, 320_000, 0]);
});
