import type { Run } from '@tidemark/protocol/run';
import { failedRun, RUN } from '@tidemark/testing/facts';
import { expect, test } from 'vitest';
import { runText, sayOutcome, sayRun, shortParts } from './run-words.ts';

test('a pull says what it brought, not only that it ended', () => {
  expect(sayRun({ ...RUN, truncated: 1 })).toBe(
    'Received 1,241 changes (812 updated, 400 added, 28 deleted, 1 table emptied) in 1 table',
  );
  expect(shortParts(RUN)).toBe('+400 ~812 −28');
});

test('a check that found changes is not "nothing new"', () => {
  expect(sayRun({ ...RUN, outcome: 'nothing-new', mode: 'check', left: 12, inserted: 0, updated: 0, deleted: 0 })).toBe(
    'Found 12 changes waiting',
  );
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
const APART: Run = {
  ...VERIFY,
  outcome: 'done',
  differences: [
    { table: 'orders', missing: 3, extra: 1, different: 0 },
    { table: 'customer', missing: 0, extra: 0, different: 11 },
  ],
};

test('a comparison says how much it compared, and that all was equal', () => {
  expect([sayOutcome(VERIFY), sayRun(VERIFY)]).toEqual([
    'All equal',
    'Compared 1,234,567 rows in 12 tables: all equal',
  ]);
});

test('a comparison of which the extent was not kept still says what it found', () => {
  const { compared: _, ...old } = APART;
  expect(sayRun(old)).toBe('Compared with the relay: 15 rows in 2 tables differed and were repaired');
});

test('a comparison that found differences says where, also as text for support', () => {
  expect([sayOutcome(APART), sayRun(APART)]).toEqual([
    'Repaired',
    'Compared 1,234,567 rows in 12 tables: 15 rows in 2 tables differed and were repaired',
  ]);
  const text = runText(APART);
  expect(text).toContain('Differed from the relay: orders: 3 missing, 1 extra');
  expect(text).toContain('Differed from the relay: customer: 11 different');
});

test('a sync that had to bring data in line says so besides', () => {
  expect(
    sayRun({ ...APART, mode: 'now', inserted: 3, deleted: 1, updated: 11, tables: [...RUN.tables, ...RUN.tables] }),
  ).toBe(
    'Received 15 changes (11 updated, 3 added, 1 deleted) in 2 tables; 15 rows in 2 tables that differed were brought in line',
  );
});

test('a comparison that became a fresh copy does not claim that all was equal', () => {
  const { compared: _, ...run } = VERIFY;
  const copy: Run = { ...run, outcome: 'done', snapshot: 'asked', inserted: 900, tables: RUN.tables };
  expect([sayOutcome(copy), sayRun(copy)]).toEqual([
    'Fresh copy',
    'So much differed from the relay that a fresh copy was taken: 900 rows in 1 table',
  ]);
});

test('what was not repaired is never said to be', () => {
  const fault = { code: 'replica_differs' as const, params: { rows: 15, tables: 'orders, customer' } };
  const found: Run = { ...APART, outcome: 'failed', fault };
  expect([sayOutcome(found), sayRun(found)]).toEqual([
    'Failed',
    'Data on this PC differs from the sync server: 15 rows in orders, customer.',
  ]);
  expect(sayRun({ ...VERIFY, outcome: 'cancelled' })).toBe('The comparison was cancelled before it ended');
});

test('the text for support names the code, the remedy and the request', () => {
  const text = runText(failedRun({ code: 'relay_timeout', params: { relay: 'hq' }, requestId: 'req-1' }));
  expect(text).toContain('Error: relay_timeout');
  expect(text).toContain('Request: req-1');
  expect(text).toContain('What to do: Try again. If this happens often, check the network connection.');
});
