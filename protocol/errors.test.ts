import { expect, test } from 'vitest';
import { asTidemarkError, diskFullError, ERRORS, fill, Problem, TidemarkError, toProblem } from './errors.ts';

test('an error has a filled sentence and becomes a problem document', () => {
  const error = new TidemarkError('name_clash', { table: 'product' });
  expect(error.message).toContain('named product');
  expect(Problem.parse(JSON.parse(JSON.stringify(toProblem(error, 'r1'))))).toMatchObject({
    code: 'name_clash',
    status: 409,
    retry: false,
    requestId: 'r1',
  });
});

test('a sentence uses singular and plural, and never ends with two full stops', () => {
  expect(fill('{rows:row} in {tables}.', { rows: 1204, tables: 'orders' })).toBe('1,204 rows in orders.');
  expect(fill('{rows:row} left', { rows: 1 })).toBe('1 row left');
  expect(fill('Failed: {detail}. Try again.', { detail: 'no such file.' })).toBe('Failed: no such file. Try again.');
  expect(fill('Failed: {detail}.', {})).toBe('Failed: ?.');
});

test('a sentence shows sizes in MB of 10^6 bytes, rounded up', () => {
  expect(diskFullError(119_500_001, 1_200_000_000).message).toContain('(120 MB free, about 1,200 MB needed)');
});

test('an error from outside the list becomes internal and keeps its message', () => {
  expect(asTidemarkError(new Error('boom'))).toMatchObject({ code: 'internal', params: { detail: 'boom' } });
});

test.each(Object.entries(ERRORS))('%s has complete sentences, a remedy and no bare code', (code, error) => {
  expect(error.means.length).toBeGreaterThan(20);
  expect(error.todo).toMatch(/\.$/);
  if (code.includes('_')) expect(error.means).not.toContain(code);
  expect(error.status).toBeGreaterThanOrEqual(400);
});
