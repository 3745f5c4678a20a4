import { expect, test } from 'vitest';
import { AnswerClock } from './answer-clock.ts';

/** The relay's clock is an hour ahead of this PC's. */
const HOUR = 3_600_000;

test('S13: the first answer counts from the question', () => {
  expect(new AnswerClock().date(HOUR + 1_000, 0, 5_000)).toBe(0);
});

test('S13: an answer that was on the way for long counts from when the relay wrote it', () => {
  const clock = new AnswerClock();
  clock.date(HOUR + 10, 0, 20);
  // Asked at 1 s, written at 31 s after a long poll, and received at 51 s.
  expect(clock.date(HOUR + 31_000, 1_000, 51_000)).toBe(31_010);
});

test('S13: an answer never counts from before its question or after its arrival, even if a clock is set', () => {
  const clock = new AnswerClock();
  clock.date(HOUR, 0, 0);
  expect(clock.date(0, 1_000, 2_000)).toBe(1_000);
  expect(clock.date(3 * HOUR, 3_000, 4_000)).toBe(4_000);
});

test('S13: after a clock was set, answers are dated well again', () => {
  const clock = new AnswerClock();
  clock.date(HOUR, 0, 0);
  let at = 0;
  for (let n = 1; n <= 25; n++) at = clock.date(n * 1_000, n * 1_000 - 900, n * 1_000);
  expect(at).toBe(25_000);
});
