import { expect, test } from 'vitest';
import { isPassed, type StageResult, summarise } from './summary.ts';

const result = (name: string, change: Partial<StageResult> = {}): StageResult => ({
  name,
  passed: 1,
  failed: 0,
  skipped: 0,
  durationMs: 1000,
  broken: null,
  ...change,
});

test('the summary lists every stage and ends with the totals', () => {
  const results = [result('format'), result('unit', { passed: 730, durationMs: 335_400 })];
  expect(summarise(results)).toEqual([
    'stage   passed  failed  skipped        time',
    'format       1       0        0         1 s',
    'unit       730       0        0  5 min 35 s',
    '',
    '731 passed, 0 failed',
  ]);
  expect(isPassed(results)).toBe(true);
});

test('the summary counts a stage that fails or cannot run, and includes the stages after it', () => {
  const results = [result('types', { passed: 0, failed: 1, broken: 'exit code 3' }), result('unit', { passed: 5 })];
  expect(summarise(results).slice(-3)).toEqual(['types did not complete: exit code 3', '', '5 passed, 1 failed']);
  expect(isPassed(results)).toBe(false);
});

test('a run with skipped tests reports them and does not pass', () => {
  const results = [result('unit', { skipped: 2 })];
  expect(summarise(results).at(-1)).toBe('1 passed, 0 failed, 2 skipped');
  expect(isPassed(results)).toBe(false);
});

test('a run without stages does not pass', () => {
  expect(isPassed([])).toBe(false);
});
