import fc from 'fast-check';
import { expect, test } from 'vitest';
import { countTicks, momentTicks, spanTicks } from './axis-ticks.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const TO = Date.parse('2026-11-23T11:00:00Z');

const AXES: [string, (top: number) => number[], unit: (ticks: number[]) => number][] = [
  ['counts', countTicks, () => 1],
  ['spans', spanTicks, (ticks) => ((ticks.at(-1) ?? 0) > 3 * DAY ? HOUR : MINUTE)],
];

test.each(AXES)('an axis of %s starts at 0, includes the maximum, and has a few round ticks', (_, axis, unit) => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e9, noNaN: true }), (top) => {
      const ticks = axis(top);
      expect(ticks[0]).toBe(0);
      expect(ticks.at(-1)).toBeGreaterThanOrEqual(top);
      expect(ticks.length).toBeGreaterThanOrEqual(2);
      expect(ticks.length).toBeLessThanOrEqual(8);
      for (const tick of ticks) expect(tick % unit(ticks)).toBe(0);
    }),
  );
});

test.each([
  [20 * 1000, [0, 1, 2, 3, 4].map((minutes) => minutes * MINUTE)],
  [26 * HOUR, [0, 5, 10, 15, 20, 25, 30].map((hours) => hours * HOUR)],
  [9 * DAY, [0, 2, 4, 6, 8, 10].map((days) => days * DAY)],
])('labels spans up to %i ms in round units', (top, ticks) => {
  expect(spanTicks(top)).toEqual(ticks);
});

test.each([1, 24, 168])('a time axis of %i h has four to eight ticks, in order and within its range', (hours) => {
  const ticks = momentTicks(TO - hours * HOUR, TO);
  expect(ticks.length).toBeGreaterThan(3);
  expect(ticks.length).toBeLessThanOrEqual(8);
  expect(ticks.every((at) => at >= TO - hours * HOUR && at <= TO)).toBe(true);
  expect(ticks).toEqual(ticks.toSorted((a, b) => a - b));
});
