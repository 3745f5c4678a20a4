import type { Run } from '@tidemark/protocol/run';
import { NOW, RUN } from '@tidemark/testing/facts';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { byDay, matching } from './run-groups.ts';

const run = (id: number, outcome: Run['outcome'], msAgo = id * 60_000): Run => ({
  ...RUN,
  id: `r${id}`,
  outcome,
  startedAt: NOW - msAgo,
});

test('groups consecutive checks that found no changes into one entry', () => {
  const [day] = byDay(
    [run(1, 'done'), run(2, 'nothing-new'), run(3, 'nothing-new'), run(4, 'failed'), run(5, 'nothing-new')],
    NOW,
  );
  expect(day?.entries.map((entry) => (entry.kind === 'quiet' ? entry.runs.length : entry.run.id))).toEqual([
    'r1',
    2,
    'r4',
    'r5',
  ]);
});

test('a check that found changes waiting has its own entry', () => {
  const found: Run = { ...run(2, 'nothing-new'), mode: 'check', left: 12 };
  const [day] = byDay([run(1, 'nothing-new'), found, run(3, 'nothing-new')], NOW);
  expect(day?.entries.map((entry) => entry.kind)).toEqual(['run', 'run', 'run']);
});

test('a group of quiet checks ends at midnight', () => {
  const days = byDay(
    [
      run(1, 'nothing-new'),
      run(2, 'nothing-new'),
      run(3, 'nothing-new', 86_400_000),
      run(4, 'nothing-new', 86_460_000),
    ],
    NOW,
  );
  expect(days.map(({ name, entries }) => [name, entries.length])).toEqual([
    ['Today', 1],
    ['Yesterday', 1],
  ]);
});

test('grouping neither loses, repeats nor reorders runs', () => {
  const outcome = fc.constantFrom<Run['outcome']>('done', 'nothing-new', 'cancelled', 'failed');
  fc.assert(
    fc.property(fc.array(fc.tuple(outcome, fc.nat(5 * 3_600_000))), (raw) => {
      let ago = 0;
      const runs = raw.map(([each, step], index) => {
        ago += step;
        return run(index, each, ago);
      });
      const ids = byDay(runs, NOW).flatMap(({ entries }) =>
        entries.flatMap((entry) => (entry.kind === 'run' ? [entry.run.id] : entry.runs.map(({ id }) => id))),
      );
      expect(ids).toEqual(runs.map(({ id }) => id));
    }),
  );
});

test('filters by result and trigger', () => {
  const runs = [run(1, 'done'), { ...run(2, 'failed'), trigger: 'schedule' as const }];
  expect(matching(runs, { outcome: 'failed', trigger: 'all' }).map(({ id }) => id)).toEqual(['r2']);
  expect(matching(runs, { outcome: 'all', trigger: 'manual' }).map(({ id }) => id)).toEqual(['r1']);
});
