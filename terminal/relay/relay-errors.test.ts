import { type Problem, TidemarkError, toProblem } from '@tidemark/protocol/errors';
import { expect, test } from 'vitest';
import { refused } from './relay-errors.ts';

const answer = (status: number, problem: Omit<Problem, 'code'> & { code: string }, headers = {}) =>
  refused('relay.example', { status, headers, body: Buffer.from(JSON.stringify(problem)) });

const known = toProblem(new TidemarkError('feed_unknown', { feed: 'shop' }), 'r1');

test('reads the code, params and request id of a refusal', () => {
  expect(answer(404, known)).toMatchObject({ code: 'feed_unknown', params: { feed: 'shop' }, requestId: 'r1' });
});

test.each([
  [429, {}, 'relay_busy'],
  [503, { 'retry-after': '7' }, 'relay_busy'],
  [503, {}, 'relay_failed'],
  [500, {}, 'relay_failed'],
  [409, {}, 'relay_not_tidemark'],
] as const)('V4: reads a refusal with an unknown code by its HTTP status (%i %o)', (status, headers, code) => {
  const error = answer(status, { ...known, status, code: 'code_of_a_newer_relay' }, headers);
  expect(error).toMatchObject({ code, retryAfterMs: 'retry-after' in headers ? 7000 : null });
});

test.each(['usage', 'config_invalid', 'cancelled', 'disk_full', 'db_damaged', 'internal'] as const)(
  'S14: reads %s, which no relay sends to a terminal, by its HTTP status',
  (code) => {
    const problem = toProblem(new TidemarkError(code, { detail: 'x', file: 'x' }));
    expect(answer(500, problem)).toMatchObject({ code: 'relay_failed', params: { status: 500 } });
    expect(answer(409, problem)).toMatchObject({ code: 'relay_not_tidemark' });
  },
);
