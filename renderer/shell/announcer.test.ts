import type { Run } from '@tidemark/protocol/run';
import { deriveStatus } from '@tidemark/status/derive';
import { facts, NOW, PROGRESS, RUN } from '@tidemark/testing/facts';
import { expect, test } from 'vitest';
import { announcement } from './announcer.tsx';

const syncing = (done: number) =>
  deriveStatus(facts({ phase: { kind: 'syncing', first: false, progress: { ...PROGRESS, done, total: 1000 } } }), NOW);

test('announces progress only at each quarter', () => {
  let spoken = { code: 'syncing' as const, run: 'run-1', quarter: 0 } as Parameters<typeof announcement>[0];
  const said: (string | null)[] = [];
  for (const done of [0, 100, 249, 250, 400, 500, 740, 760, 999]) {
    const next = announcement(spoken, syncing(done), RUN);
    spoken = next.spoken;
    said.push(next.text);
  }
  expect(said.filter((text) => text !== null)).toEqual([
    '25 percent: 250 of 1,000 changes',
    '50 percent: 500 of 1,000 changes',
    '75 percent: 760 of 1,000 changes',
  ]);
});

test('announces the end of a run with the number of changes', () => {
  const before = { code: 'syncing' as const, run: 'run-1', quarter: 75 };
  expect(announcement(before, deriveStatus(facts(), NOW), { ...RUN, id: 'run-2' }).text).toBe(
    'Sync finished: 1,240 changes received. Up to date',
  );
});

test('announces the end of a comparison with its result, with or without differences', () => {
  const before = { code: 'comparing' as const, run: 'run-1', quarter: 75 };
  const run: Run = { ...RUN, id: 'run-2', mode: 'verify', outcome: 'nothing-new', compared: { rows: 90, tables: 3 } };
  expect(announcement(before, deriveStatus(facts(), NOW), run).text).toBe(
    'Compared 90 rows in 3 tables: identical. Up to date',
  );
});

test('does not announce the same state twice', () => {
  const before = { code: 'up-to-date' as const, run: 'run-1', quarter: 0 };
  expect(announcement(before, deriveStatus(facts(), NOW), RUN).text).toBeNull();
});
