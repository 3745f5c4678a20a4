import { describe, expect, test } from 'vitest';
import { askAgainMs, LONGEST_ASK_MS, LONGEST_ASKED_MS, parseRetryAfter, retryWaitMs } from './retry-wait.ts';

const PACE = { firstMs: 2_000, longestMs: 300_000 };
const NOW = Date.parse('2026-11-25T08:00:00Z');
/** Each kind of Retry-After that a relay, or a proxy in front of it, can send. */
const HEADERS = ['0', '1', '-1', '1.5', '99999999999999999999', 'soon', '', 'Wed, 25 Nov 2026 08:01:00 GMT', undefined];

describe('W1: the wait after a failure', () => {
  test('is at least an eighth of a bound that doubles to 5 minutes, whatever Retry-After says', () => {
    for (const header of HEADERS)
      for (const random of [0, 0.5, 1 - Number.EPSILON])
        for (let attempt = 1; attempt < 60; attempt++) {
          const wait = retryWaitMs(attempt, parseRetryAfter(header, NOW), random, PACE);
          expect(wait).toBeGreaterThanOrEqual(Math.min(300_000, 2_000 * 2 ** (attempt - 1)) / 8);
          expect(wait).toBeLessThanOrEqual(LONGEST_ASKED_MS + 2_000);
        }
  });

  test('is at least as long as Retry-After asks, up to an hour', () => {
    expect(retryWaitMs(1, 45_000, 0, PACE)).toBe(45_000);
    expect(retryWaitMs(1, 1e9, 0, PACE)).toBe(LONGEST_ASKED_MS);
  });
});

describe('W2: the wait for something that the relay prepares', () => {
  test('is between 1 s and 60 s, whatever Retry-After says', () => {
    for (const header of HEADERS)
      for (const random of [0, 1 - Number.EPSILON])
        for (const waited of [-5_000, 0, 1_000, 60_000, 1e9]) {
          const wait = askAgainMs(waited, parseRetryAfter(header, NOW), random);
          expect(wait).toBeGreaterThanOrEqual(1_000);
          expect(wait).toBeLessThanOrEqual(LONGEST_ASK_MS);
        }
  });

  test('grows with the time since the first request', () => {
    expect([0, 8_000, 80_000].map((waited) => askAgainMs(waited, 1_000, 0))).toEqual([1_000, 1_000, 10_000]);
  });
});

test.each([
  ['0', 0],
  ['120', 120_000],
  ['99999999999999999999', LONGEST_ASKED_MS],
  ['Wed, 25 Nov 2026 08:01:00 GMT', 60_000],
  ['Wed, 25 Nov 2026 07:00:00 GMT', null],
  ['Wed, nonsense', null],
  ['-1', null],
  ['1.5', null],
  ['soon', null],
  [undefined, null],
])('parses Retry-After: %s as %s ms', (header, ms) => {
  expect(parseRetryAfter(header, NOW)).toBe(ms);
});
