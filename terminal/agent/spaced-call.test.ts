import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SPACING_MS, SpacedCall } from './spaced-call.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('W1: calls at once, and then every two minutes while requests arrive every second', () => {
  const calls: number[] = [];
  const began = performance.now();
  const spaced = new SpacedCall(() => calls.push(Math.round(performance.now() - began)));
  for (let second = 0; second < 360; second++) {
    spaced.request();
    vi.advanceTimersByTime(1_000);
  }
  expect(calls).toEqual([0, SPACING_MS, 2 * SPACING_MS, 3 * SPACING_MS]);
});

test('W1: a change of the clock does not shorten the time between two calls', () => {
  let calls = 0;
  const spaced = new SpacedCall(() => calls++);
  for (const days of [1, -2, 3]) {
    spaced.request();
    vi.setSystemTime(Date.now() + days * 86_400_000);
  }
  vi.advanceTimersByTime(SPACING_MS - 1);
  expect(calls).toBe(1);
  vi.advanceTimersByTime(1);
  expect(calls).toBe(2);
});

test('drops a call that was cancelled before it was due', () => {
  let calls = 0;
  const spaced = new SpacedCall(() => calls++);
  spaced.request();
  spaced.request();
  spaced.cancel();
  vi.advanceTimersByTime(10 * SPACING_MS);
  expect(calls).toBe(1);
});
