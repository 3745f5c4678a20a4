import { expect, test } from 'vitest';
import { arrange } from './table-rows.ts';

const ROWS = [
  { name: 'stock', rows: 5, waiting: 0, lastChangeAt: Date.parse('2026-11-23T10:00:00Z') },
  { name: 'Orders', rows: 90, waiting: 7, lastChangeAt: null },
  { name: 'audit', rows: null, waiting: null, lastChangeAt: Date.parse('2026-11-22T10:00:00Z') },
];
const names = (...args: Parameters<typeof arrange>) => arrange(...args).map(({ name }) => name);

test('sorts by name, ignoring case', () => {
  expect(names(ROWS, { key: 'name', down: false }, '', false)).toEqual(['audit', 'Orders', 'stock']);
});

test('sorts unknown values last in both directions', () => {
  expect(names(ROWS, { key: 'rows', down: true }, '', false)).toEqual(['Orders', 'stock', 'audit']);
  expect(names(ROWS, { key: 'rows', down: false }, '', false)).toEqual(['stock', 'Orders', 'audit']);
});

test('filters by name and by changes waiting', () => {
  expect(names(ROWS, { key: 'name', down: false }, ' oRd ', false)).toEqual(['Orders']);
  expect(names(ROWS, { key: 'name', down: false }, '', true)).toEqual(['Orders']);
});
