import { ERRORS, type ErrorCode, type Problem, TidemarkError, toProblem } from '@tidemark/protocol/errors';
import { mayRefuse } from '@tidemark/protocol/refusals';
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

test('cuts long params, removes control characters and ignores most of too many params', () => {
  const params = {
    feed: `\u001b[2Jshop\n${'x'.repeat(5_000)}`,
    ...Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`p${n}`, n])),
  };
  const error = answer(404, { ...known, params, requestId: `\u0007${'r'.repeat(5_000)}` });
  expect(String(error.params.feed)).toMatch(/^ \[2Jshop x+$/);
  expect(String(error.params.feed)).toHaveLength(1_000);
  expect(Object.keys(error.params)).toHaveLength(20);
  expect(error.requestId).toMatch(/^ r{999}$/);
});

test.each([200, 301, 400, 401, 403, 404, 407, 409, 418, 426, 429, 500, 502, 503, 504, 511])(
  'S14: with status %i, no code makes the terminal report a fault that only this PC can have',
  (status) => {
    for (const code of Object.keys(ERRORS) as ErrorCode[]) {
      const error = answer(status, { ...toProblem(new TidemarkError(code)), status });
      expect(
        mayRefuse('terminal', error.code) || error.code === 'relay_not_tidemark',
        `${code} became ${error.code}`,
      ).toBe(true);
    }
  },
);
