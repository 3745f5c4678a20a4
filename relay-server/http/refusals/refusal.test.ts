import { ERRORS, type ErrorCode, TidemarkError } from '@tidemark/protocol/errors';
import { mayRefuse } from '@tidemark/protocol/refusals';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { BadKeys } from './bad-keys.ts';
import { refusalFor } from './refusal.ts';
import { mistakesIn, REFUSAL_BYTES, refusalBody } from './refusal-body.ts';
import { RefusalLog } from './refusal-log.ts';

const CODES = Object.keys(ERRORS) as ErrorCode[];

test.each(['terminal', 'feed', 'admin'] as const)(
  'S14: a %s receives only codes of its list; every other one becomes relay_failed without its params',
  (role) => {
    for (const code of CODES) {
      const { error, status } = refusalFor(role, new TidemarkError(code, { detail: '/srv/relay', file: '/srv/relay' }));
      if (mayRefuse(role, code)) expect(error.code).toBe(code);
      else {
        expect(error.code, code).toBe('relay_failed');
        expect(error.params).toEqual({ status });
        expect(status).toBeGreaterThanOrEqual(500);
      }
    }
  },
);

test('a param in an answer has at most 1,000 characters', () => {
  const { error } = refusalFor('terminal', new TidemarkError('request_invalid', { detail: 'x'.repeat(1e6) }));
  expect(String(error.params.detail).length).toBe(1_001);
});

test.each(['x', '\u0000', '\u{1f600}', '"', 'é'])(
  'B47: a refusal has at most 2 kB for each code, if its params are long texts of %j',
  (character) => {
    for (const code of CODES) {
      const params = { detail: character.repeat(100_000), table: character.repeat(5_000), feed: character };
      const bytes = refusalBody(new TidemarkError(code, params), 400, 'r'.repeat(36));
      expect(bytes.length, code).toBeLessThanOrEqual(REFUSAL_BYTES);
      expect(JSON.parse(bytes.toString())).toMatchObject({ code });
    }
  },
);

test('B47: a short refusal is not cut', () => {
  const detail = 'd'.repeat(700);
  const problem = JSON.parse(refusalBody(new TidemarkError('request_invalid', { detail }), 400).toString()) as unknown;
  expect(problem).toMatchObject({ params: { detail } });
});

test('B47: a refusal names the first 5 mistakes', () => {
  const { error } = z.object({ list: z.array(z.number()) }).safeParse({ list: Array(100).fill('x') });
  if (!error) throw new Error('the input is valid');
  const { detail } = mistakesIn(error, 'body').params;
  expect(String(detail).match(/list\.\d+: /g)).toEqual([0, 1, 2, 3, 4].map((n) => `list.${n}: `));
});

test('the table of bad keys is bounded', () => {
  const keys = new BadKeys();
  for (let n = 0; n < 30_000; n++) keys.isRepeated(`2001:db8::${(n % 60_000).toString(16)}`, `key ${n}`);
  expect(keys.size).toBe(10_000);
});

test('a line of the log contains no key and no control character, in any field', () => {
  const lines: string[] = [];
  const log = new RefusalLog((event, fields) => lines.push(JSON.stringify({ event, ...fields })));
  const key = 'tm_CANARYcanaryCANARYcanaryCANARYcanary0123456';
  const text = `\u001b[31m\u202e\u0085${key}${'z'.repeat(9_000)}`;
  const request = { requestId: 'r', client: text, method: text, path: text, status: 500, key: 'CANARY' };
  log.add(request, new TidemarkError('internal', { detail: text }), `Error: ${text}\n at x`);
  log.add({ ...request, key: null }, new TidemarkError('not_found'));
  for (let n = 0; n < 9; n++) log.add(request, new TidemarkError('not_found'));
  log.close();
  expect(lines.map((line) => line.slice(0, 30))).toContainEqual(expect.stringContaining('requests-refused'));
  for (const line of lines) {
    expect(line).not.toContain('CANARYcanary');
    expect(line).not.toMatch(/[^\x20-\x7e…]/);
    expect(line.length).toBeLessThan(6_000);
  }
});

test('a bug of the relay that repeats takes a bounded number of lines, and is counted', () => {
  const events: Record<string, unknown>[] = [];
  const log = new RefusalLog((event, fields) => events.push({ event, ...fields }));
  const request = { requestId: 'r', client: '::1', method: 'GET', path: '/', status: 500, key: null };
  for (let n = 0; n < 500; n++) log.add(request, new TidemarkError('internal', { detail: 'x' }), 'Error: x');
  log.close();
  expect(events.map(({ event }) => event)).toEqual([
    'request-failed',
    'request-failed',
    'request-failed',
    'requests-refused',
  ]);
  expect(events.at(-1)).toMatchObject({ code: 'internal', refused: 500, unlogged: 497 });
});
