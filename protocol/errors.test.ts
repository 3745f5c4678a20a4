import { expect, test } from 'vitest';
import { asTidemarkError, ERRORS, Problem, TidemarkError, toProblem } from './errors.ts';

test('an error says its sentence with its params, and travels as a problem', () => {
  const error = new TidemarkError('name_clash', { table: 'product' });
  expect(error.message).toContain('named product');
  expect(Problem.parse(JSON.parse(JSON.stringify(toProblem(error, 'r1'))))).toMatchObject({
    code: 'name_clash',
    status: 409,
    retry: false,
    requestId: 'r1',
  });
});

test('what was thrown by others is internal and keeps its message', () => {
  expect(asTidemarkError(new Error('boom'))).toMatchObject({ code: 'internal', params: { detail: 'boom' } });
});

test.each(Object.entries(ERRORS))('%s: a sentence that ends, says what to do, and is no bare code', (code, error) => {
  expect(error.means.length).toBeGreaterThan(20);
  expect(error.todo).toMatch(/\.$/);
  if (code.includes('_')) expect(error.means).not.toContain(code);
  expect(error.status).toBeGreaterThanOrEqual(400);
});
