import { FORWARDED_METHODS } from '@tidemark/terminal/agent/contract';
import { expect, test } from 'vitest';
import { METHODS } from '../../contract/contract.ts';
import { forwardCalls } from './forwarded-calls.ts';

test('every forwarded call reaches the agent under its own name, with its input and output unchanged', async () => {
  const calls: unknown[] = [];
  const forwarded = forwardCalls(async (method, input) => {
    calls.push([method, input]);
    return { answer: method } as never;
  });
  for (const [method, handler] of Object.entries(forwarded)) {
    const input = { for: method };
    expect(await (handler as (input: unknown) => Promise<unknown>)(input)).toEqual({ answer: method });
    expect(calls.at(-1)).toEqual([method, input]);
  }
  expect(Object.keys(forwarded)).toEqual(Object.keys(FORWARDED_METHODS));
});

test("the agent's rejection reaches the caller", async () => {
  const forwarded = forwardCalls(() => Promise.reject(new Error('gone')));
  await expect(forwarded['sync.cancel']({})).rejects.toThrow('gone');
});

test('the window may make every forwarded call', () => {
  for (const method of Object.keys(FORWARDED_METHODS)) expect(METHODS).toHaveProperty([method]);
});
