import { deriveStatus } from '@tidemark/status/derive';
import { at, facts, NOW, RUN } from '@tidemark/testing/facts';
import { expect, test } from 'vitest';
import { runLine, statusLines } from './lines.ts';

const tables = ['orders', 'price'].map((name) => ({ name, reason: 'no_key' as const, asOf: at(3_600_000) }));
const linesOf = (count: number) => {
  const each = facts();
  const marked = { ...each, replica: { ...each.replica, setAside: { count, tables: tables.slice(0, count) } } };
  return statusLines(deriveStatus(marked, NOW), marked);
};

test('status lists each table that is set aside, with its reason', () => {
  expect(linesOf(3).slice(2)).toEqual([
    'Set aside: orders, as of 2026-11-23T09:42:00.000Z. This table has no key that identifies its rows',
    'Set aside: price, as of 2026-11-23T09:42:00.000Z. This table has no key that identifies its rows',
    'Set aside: 1 more table',
  ]);
});

test('status describes a single table that is set aside only once', () => {
  expect(linesOf(1)).toHaveLength(2);
  expect(linesOf(0)).toHaveLength(2);
});

test('a run names the tables that were set aside and those that follow again', () => {
  const none = { ...RUN, inserted: 0, updated: 0, deleted: 0, tables: [] };
  expect(runLine({ ...none, setAside: [{ name: 'orders', reason: 'no_key' }], followed: ['price'] })).toMatch(
    /^Received 0 changes .* Position 5,310\. Table orders was set aside\. Table price follows head office again\.$/,
  );
});

test('no line about a run without news claims that the data is up to date', () => {
  expect(runLine({ ...RUN, outcome: 'nothing-new' })).toBe('Nothing new. Position 5,310.');
});
