import { expect, test } from 'vitest';
import { type KeepingFacts, keepsUntilMs } from './keeping-time.ts';

const DAY = 86_400_000;
const NOW = 100 * DAY;
/** A log of 1 MB that grew over ten days; the terminal is missing its last 0.4 MB. */
const facts = (more: Partial<KeepingFacts>): KeepingFacts => ({
  nowMs: NOW,
  retention: { days: 30, megabytes: null },
  oldestMissingMs: NOW - 4 * DAY,
  log: { oldest: { committedAtMs: NOW - 10 * DAY, bytes: 500_000 }, newest: { committedAtMs: NOW, bytes: 1_500_000 } },
  cursorBytes: 1_100_000,
  ...more,
});

test('a terminal that is missing nothing has no limit', () => {
  expect(keepsUntilMs(facts({ oldestMissingMs: null }))).toBeNull();
});

test('a transaction is kept for its days', () => {
  expect(keepsUntilMs(facts({}))).toBe(NOW + 26 * DAY);
});

test('the limit of size ends it earlier, at the present rate of growth', () => {
  // 0.6 MB of room at 0.1 MB a day.
  expect(keepsUntilMs(facts({ retention: { days: 30, megabytes: 1 } }))).toBe(NOW + 6 * DAY);
});

test('the limit of size does not extend the days', () => {
  expect(keepsUntilMs(facts({ retention: { days: 30, megabytes: 100 } }))).toBe(NOW + 26 * DAY);
});

test('a backlog that is larger than the limit is kept until now', () => {
  expect(keepsUntilMs(facts({ retention: { days: 30, megabytes: 0.1 } }))).toBe(NOW);
});

test.each([
  ['is empty', null],
  ['holds nothing', { oldest: { committedAtMs: NOW - DAY, bytes: 5 }, newest: { committedAtMs: NOW, bytes: 5 } }],
  ['came in one moment', { oldest: { committedAtMs: NOW, bytes: 5 }, newest: { committedAtMs: NOW, bytes: 9 } }],
] as const)('without a rate, because the log %s, only the days count', (_, log) => {
  expect(keepsUntilMs(facts({ retention: { days: 30, megabytes: 1 }, log }))).toBe(NOW + 26 * DAY);
});

test('a time that no date can hold is no limit', () => {
  expect(keepsUntilMs(facts({ retention: { days: 1e12, megabytes: null } }))).toBeNull();
});
