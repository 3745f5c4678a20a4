import { Epoch, seq } from '@tidemark/protocol/cursor';
import type { Run } from '@tidemark/protocol/run';
import { expect, test } from 'vitest';
import { joinRuns } from './join-runs.ts';

const epoch = Epoch.parse('aaaaaaaa');

/** Returns a run that followed the relay and pulled one inserted row of `table`. */
const run = (id: string, startedAt: number, from: number, table = 'item'): Run => ({
  id,
  startedAt,
  endedAt: startedAt + 10,
  trigger: 'watch',
  mode: 'now',
  outcome: 'done',
  from: { epoch, seq: seq(from) },
  to: { epoch, seq: seq(from + 1) },
  snapshot: null,
  inserted: 1,
  updated: 0,
  deleted: 0,
  truncated: 0,
  tables: [{ name: table, inserted: 1, updated: 0, deleted: 0, truncated: 0 }],
  bytes: 100,
  left: 0,
  retries: 0,
  fault: null,
});

test('joins runs that follow the relay and begin within a minute', () => {
  const joined = joinRuns(joinRuns(run('a', 0, 1), run('b', 30_000, 2)), run('c', 60_000, 3, 'sale'));
  expect(joined).toMatchObject({
    id: 'a',
    startedAt: 0,
    endedAt: 60_010,
    from: { seq: 1 },
    to: { seq: 4 },
    inserted: 3,
    bytes: 300,
    tables: [
      { name: 'item', inserted: 2 },
      { name: 'sale', inserted: 1 },
    ],
  });
});

test.each([
  ['no run before', null, {}],
  ['later than a minute', run('a', 0, 1), { startedAt: 60_001 }],
  ['by hand', run('a', 0, 1), { trigger: 'manual' as const }],
  ['after a manual run', { ...run('a', 0, 1), trigger: 'manual' as const }, {}],
  ['failed', run('a', 0, 1), { outcome: 'failed' as const }],
  ['by a snapshot', run('a', 0, 1), { snapshot: 'cheaper' as const }],
  ['with a table set aside', run('a', 0, 1), { setAside: [{ name: 'item', reason: 'no_key' as const }] }],
  ['with a table that follows again', { ...run('a', 0, 1), followed: ['item'] }, {}],
  ['with a comparison', run('a', 0, 1), { differences: [] }],
])('keeps a run separate: %s', (_, before, change) => {
  expect(joinRuns(before, { ...run('b', 1000, 2), ...change })).toBeNull();
});
