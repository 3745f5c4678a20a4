import { expect, test } from 'vitest';
import { type KeepingFacts, keepsUntilMs } from './keeping-time.ts';

const DAY = 86_400_000;
const NOW = 100 * DAY;
/** The facts of a log that grew by 1 MB over ten days. The terminal is missing its last 0.4 MB. */
const facts = (more: Partial<KeepingFacts>): KeepingFacts => ({
  nowMs: NOW,
  retention: { days: 30, megabytes: null },
  oldestMissingMs: NOW - 4 * DAY,
  log: { oldest: { committedAtMs: NOW - 10 * DAY, bytes: 500_000 }, newest: { committedAtMs: NOW, bytes: 1_500_000 } },
  cursorBytes: 1_100_000,
  ...more,
});

test('sets no limit for a terminal that is caught up', () => {
  expect(keepsUntilMs(facts({ oldestMissingMs: null }))).toBeNull();
});

test('keeps the backlog for the configured days', () => {
  expect(keepsUntilMs(facts({}))).toBe(NOW + 26 * DAY);
});

test('ends earlier when the log will reach its size limit at the current rate of growth', () => {
  // The log can grow by 0.6 MB, and grows by 0.1 MB a day.
  expect(keepsUntilMs(facts({ retention: { days: 30, megabytes: 1 } }))).toBe(NOW + 6 * DAY);
});

test('a large size limit does not extend the configured days', () => {
  expect(keepsUntilMs(facts({ retention: { days: 30, megabytes: 100 } }))).toBe(NOW + 26 * DAY);
});

test('returns the current time for a backlog that already exceeds the size limit', () => {
  expect(keepsUntilMs(facts({ retention: { days: 30, megabytes: 0.1 } }))).toBe(NOW);
});

test.each([
  ['is empty', null],
  ['holds nothing', { oldest: { committedAtMs: NOW - DAY, bytes: 5 }, newest: { committedAtMs: NOW, bytes: 5 } }],
  ['arrived at one moment', { oldest: { committedAtMs: NOW, bytes: 5 }, newest: { committedAtMs: NOW, bytes: 9 } }],
] as const)('applies only the limit in days when the log has no rate of growth because it %s', (_, log) => {
  expect(keepsUntilMs(facts({ retention: { days: 30, megabytes: 1 }, log }))).toBe(NOW + 26 * DAY);
});

test('sets no limit if the time is beyond the range of dates', () => {
  expect(keepsUntilMs(facts({ retention: { days: 1e12, megabytes: null } }))).toBeNull();
});
