import type { Run } from '@tidemark/protocol/run';
import { failedRun, RUN } from '@tidemark/testing/facts';
import { expect, test } from 'vitest';
import { describeRun, outcomeLabel, runText, shortChanges } from './run-text.ts';

test('a pull lists the changes it received', () => {
  expect(describeRun({ ...RUN, truncated: 1 })).toBe(
    'Received 1,241 changes (812 updated, 400 added, 28 deleted, 1 table emptied) in 1 table',
  );
  expect(shortChanges(RUN)).toBe('+400 ~812 −28');
});

test('a check that found changes is not described as "nothing new"', () => {
  expect(
    describeRun({ ...RUN, outcome: 'nothing-new', mode: 'check', left: 12, inserted: 0, updated: 0, deleted: 0 }),
  ).toBe('Found 12 changes waiting');
});

const VERIFY: Run = {
  ...RUN,
  mode: 'verify',
  outcome: 'nothing-new',
  inserted: 0,
  updated: 0,
  deleted: 0,
  tables: [],
  compared: { rows: 1_234_567, tables: 12 },
};
const DIFFERING: Run = {
  ...VERIFY,
  outcome: 'done',
  differences: [
    { table: 'orders', missing: 3, extra: 1, different: 0 },
    { table: 'customer', missing: 0, extra: 0, different: 11 },
  ],
};

test('a check before the first sync reports that a first copy is available', () => {
  expect(describeRun({ ...RUN, outcome: 'nothing-new', mode: 'check', left: null, from: null, to: null })).toBe(
    'First copy available',
  );
});

test('a comparison without differences states how many rows and tables it compared', () => {
  expect([outcomeLabel(VERIFY), describeRun(VERIFY)]).toEqual([
    'Identical',
    'Compared 1,234,567 rows in 12 tables: identical',
  ]);
});

test('a comparison without stored row counts still lists its differences', () => {
  const { compared: _, ...old } = DIFFERING;
  expect(describeRun(old)).toBe('Compared with the server: 15 rows in 2 tables differed and were repaired');
});

test('the result of a comparison and the text for support name the tables with differences', () => {
  expect([outcomeLabel(DIFFERING), describeRun(DIFFERING)]).toEqual([
    'Repaired',
    'Compared 1,234,567 rows in 12 tables: 15 rows in 2 tables differed and were repaired',
  ]);
  const text = runText(DIFFERING);
  expect(text).toContain('Differed from the server: orders: 3 missing, 1 extra');
  expect(text).toContain('Differed from the server: customer: 11 different');
});

test('a sync that also corrected rows counts them separately', () => {
  expect(
    describeRun({
      ...DIFFERING,
      mode: 'now',
      inserted: 3,
      deleted: 1,
      updated: 11,
      tables: [...RUN.tables, ...RUN.tables],
    }),
  ).toBe(
    'Received 15 changes (11 updated, 3 added, 1 deleted) in 2 tables; 15 rows in 2 tables differed and were corrected',
  );
});

test('a comparison that a fresh copy replaced is not described as identical', () => {
  const { compared: _, ...run } = VERIFY;
  const copy: Run = { ...run, outcome: 'done', snapshot: 'asked', inserted: 900, tables: RUN.tables };
  expect([outcomeLabel(copy), describeRun(copy)]).toEqual([
    'Fresh copy',
    'Too much differed from the server, so a fresh copy was downloaded: 900 rows in 1 table',
  ]);
});

test('differences without a repair are not described as repaired', () => {
  const fault = { code: 'replica_differs' as const, params: { rows: 15, tables: 'orders, customer' } };
  const found: Run = { ...DIFFERING, outcome: 'failed', fault };
  expect([outcomeLabel(found), describeRun(found)]).toEqual([
    'Failed',
    'Data on this PC differs from the sync server: 15 rows in orders, customer.',
  ]);
  expect(describeRun({ ...VERIFY, outcome: 'cancelled' })).toBe('The comparison was cancelled before it ended');
});

test('the text for support contains the code, the remedy and the request id', () => {
  const text = runText(failedRun({ code: 'relay_timeout', params: { relay: 'hq' }, requestId: 'req-1' }));
  expect(text).toContain('Error: relay_timeout');
  expect(text).toContain('Request: req-1');
  expect(text).toContain('What to do: Try again. If this happens often, check the network connection.');
});

test('a run that changed no row but set a table aside is described by its marks', () => {
  const none = { ...RUN, inserted: 0, updated: 0, deleted: 0, tables: [] };
  const setAside = [{ name: 'orders', reason: 'row_too_large' as const }];
  expect(describeRun({ ...none, setAside })).toBe('Table orders was set aside');
  expect(describeRun({ ...none, followed: ['orders', 'price'] })).toBe(
    'Tables orders and price follow head office again',
  );
  expect(describeRun({ ...RUN, setAside })).toMatch(/^Received 1,240 changes .*\. Table orders was set aside$/);
  const text = runText({ ...none, setAside, followed: ['price'] });
  expect(text).toContain('Set aside: orders: A row of this table is larger than the limit');
  expect(text).toContain('Follows head office again: price');
});
