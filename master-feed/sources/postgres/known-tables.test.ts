import { describe, expect, test } from 'vitest';
import type { PostgresVersion } from './catalog.ts';
import { isSameVersion, isWorthWriting } from './known-tables.ts';

const before: PostgresVersion = { shape: 's0', attributes: 'a0', file: 'f0', published: 'p0' };

describe('F10: table versions', () => {
  test.each([
    ['a rewrite', { attributes: 'a1', file: 'f1' }],
    ['a change of columns, types or partitions', { shape: 's1' }],
    ['a gap in the publication', { published: 'p1' }],
  ])('the version of a table changes after %s', (_, change) => {
    expect(isSameVersion(before, { ...before, ...change })).toBe(false);
  });

  test.each([
    ['a new default', { attributes: 'a1' }],
    ['TRUNCATE or VACUUM FULL', { file: 'f1' }],
  ])('the version of a table does not change after %s', (_, change) => {
    expect(isSameVersion(before, { ...before, ...change })).toBe(true);
  });
});

test('writes no comment for a new file number alone', () => {
  const known = (version: PostgresVersion) => [{ id: 1, name: 'item', columnIds: [1], version }];
  expect(isWorthWriting(known(before), known({ ...before, file: 'f1' }))).toBe(false);
  expect(isWorthWriting(known(before), known({ ...before, attributes: 'a1' }))).toBe(true);
  expect(isWorthWriting(known(before), [])).toBe(true);
});
