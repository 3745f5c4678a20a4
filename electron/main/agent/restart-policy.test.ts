import { expect, test } from 'vitest';
import { onCrash, type Verdict } from './restart-policy.ts';

function crashAt(...times: number[]): Verdict[] {
  let crashes: number[] = [];
  return times.map((at) => {
    const after = onCrash(crashes, at);
    crashes = after.crashes;
    return after.verdict;
  });
}

test('restarts five times in ten minutes, each after a longer wait, then stops', () => {
  const verdicts = crashAt(0, 2_000, 5_000, 10_000, 20_000, 40_000);
  expect(verdicts.map((verdict) => (verdict.restart ? verdict.afterMs : 'down'))).toEqual([
    1_000,
    2_000,
    4_000,
    8_000,
    16_000,
    'down',
  ]);
});

test('forgets crashes older than ten minutes', () => {
  expect(crashAt(0, 1_000, 2_000, 3_000, 4_000, 602_500).at(-1)).toEqual({
    restart: true,
    afterMs: 4_000,
    restarts: 3,
  });
});
