import { describe, expect, test } from 'vitest';
import type { PostgresVersion } from './catalog.ts';
import { isSameVersion, isWorthWriting } from './known-tables.ts';

const before: PostgresVersion = { shape: 's0', attributes: 'a0', file: 'f0', published: 'p0' };

describe('F10: a table must be re-read', () => {
  test.each([
    ['it was rewritten', { attributes: 'a1', file: 'f1' }],
    ['its columns, types or partitions changed', { shape: 's1' }],
    ['the publication left something out', { published: 'p1' }],
  ])('after %s', (_, change) => {
    expect(isSameVersion(before, { ...before, ...change })).toBe(false);
  });

  test.each([
    ['a new default', { attributes: 'a1' }],
    ['TRUNCATE or VACUUM FULL', { file: 'f1' }],
  ])('but not after %s', (_, change) => {
    expect(isSameVersion(before, { ...before, ...change })).toBe(true);
  });
});

test('a new file number alone is not worth writing a comment', () => {
  const known = (version: PostgresVersion) => [{ id: 1, name: 'item', columnIds: [1], version }];
  expect(isWorthWriting(known(before), known({ ...before, file: 'f1' }))).toBe(false);
  expect(isWorthWriting(known(before), known({ ...before, attributes: 'a1' }))).toBe(true);
  expect(isWorthWriting(known(before), [])).toBe(true);
});
