import { expect, test } from 'vitest';
import { arrange } from './table-rows.ts';

const setAside = { reason: 'no_key' as const, asOf: 0 };
const ROWS = [
  { name: 'stock', rows: 5, waiting: 0, lastChangeAt: Date.parse('2026-11-23T10:00:00Z'), setAside: null },
  { name: 'Orders', rows: 90, waiting: 7, lastChangeAt: null, setAside: null },
  { name: 'audit', rows: null, waiting: null, lastChangeAt: Date.parse('2026-11-22T10:00:00Z'), setAside: null },
];
const names = (...args: Parameters<typeof arrange>) => arrange(...args).map(({ name }) => name);

test('sorts by name, ignoring case', () => {
  expect(names(ROWS, { key: 'name', down: false }, '', 'all')).toEqual(['audit', 'Orders', 'stock']);
});

test('sorts unknown values last in both directions', () => {
  expect(names(ROWS, { key: 'rows', down: true }, '', 'all')).toEqual(['Orders', 'stock', 'audit']);
  expect(names(ROWS, { key: 'rows', down: false }, '', 'all')).toEqual(['stock', 'Orders', 'audit']);
});

test('filters by name and by changes waiting', () => {
  expect(names(ROWS, { key: 'name', down: false }, ' oRd ', 'all')).toEqual(['Orders']);
  expect(names(ROWS, { key: 'name', down: false }, '', 'waiting')).toEqual(['Orders']);
});

test('shows tables that are set aside first in every order, or only them', () => {
  const rows = [...ROWS, { name: 'zone', rows: 7, waiting: 0, lastChangeAt: null, setAside }];
  for (const down of [true, false])
    for (const key of ['name', 'rows', 'waiting', 'lastChangeAt'] as const)
      expect(names(rows, { key, down }, '', 'all')[0]).toBe('zone');
  expect(names(rows, { key: 'name', down: false }, '', 'set-aside')).toEqual(['zone']);
});
