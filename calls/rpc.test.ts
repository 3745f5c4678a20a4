import { setTimeout as wait } from 'node:timers/promises';
import { TidemarkError } from '@tidemark/protocol/errors';
import { expect, test, vi } from 'vitest';
import { z } from 'zod';
import { makeCaller, type Port, serve } from './rpc.ts';

const tables = {
  methods: {
    double: { in: z.object({ n: z.int() }), out: z.object({ n: z.int() }), timeoutMs: 1000 },
    never: { in: z.object({}), out: z.object({}), timeoutMs: 30 },
    fail: { in: z.object({}), out: z.object({}), timeoutMs: 1000 },
    lie: { in: z.object({}), out: z.object({ n: z.int() }), timeoutMs: 1000 },
  },
  events: { tick: z.object({ n: z.int() }) },
};

/** Two ends of a pipe that copies what it carries, as a process boundary does. */
function pipe(): [Port, Port] {
  const listeners: ((message: unknown) => void)[][] = [[], []];
  const end = (mine: 0 | 1): Port => ({
    post: (message) => {
      const copy = structuredClone(message);
      queueMicrotask(() => {
        for (const listener of listeners[1 - mine] ?? []) listener(copy);
      });
    },
    onMessage: (listener) => void listeners[mine]?.push(listener),
  });
  return [end(0), end(1)];
}

function connect() {
  const [here, there] = pipe();
  const ticks: number[] = [];
  const nonsense = vi.fn();
  const caller = makeCaller(here, tables, { tick: ({ n }) => void ticks.push(n) }, nonsense);
  const tell = serve(there, tables, {
    double: async ({ n }) => ({ n: 2 * n }),
    never: () => new Promise(() => {}),
    fail: async () => {
      throw new TidemarkError('db_read_only', { file: 'a.sqlite' });
    },
    lie: async () => ({ n: 0.5 }),
  });
  return { caller, tell, ticks, nonsense, there };
}

test('answers come to the call that asked', async () => {
  const { caller } = connect();
  const answers = await Promise.all([1, 2, 3].map((n) => caller.call('double', { n })));
  expect(answers).toEqual([{ n: 2 }, { n: 4 }, { n: 6 }]);
});

test('a coded error crosses with its params', async () => {
  const { caller } = connect();
  await expect(caller.call('fail', {})).rejects.toMatchObject({ code: 'db_read_only', params: { file: 'a.sqlite' } });
});

test('a dead worker rejects every call that waits, and every later one', async () => {
  const { caller } = connect();
  const waiting = [caller.call('never', {}), caller.call('never', {})];
  caller.gone();
  for (const call of [...waiting, caller.call('double', { n: 1 })])
    await expect(call).rejects.toMatchObject({ code: 'agent_down' });
});

test('a call without an answer ends at its time limit', async () => {
  const { caller } = connect();
  await expect(caller.call('never', {})).rejects.toMatchObject({ code: 'agent_down' });
});

test('input that the table does not allow is refused and runs nothing', async () => {
  const { caller } = connect();
  await expect(caller.call('double', { n: 'x' as unknown as number })).rejects.toMatchObject({
    code: 'request_invalid',
  });
  await expect(caller.call('toString' as 'double', { n: 1 })).rejects.toThrow();
});

test('output that the table does not allow is a fault, not an answer', async () => {
  const { caller } = connect();
  await expect(caller.call('lie', {})).rejects.toMatchObject({ code: 'internal' });
});

test('events are parsed; what is no event is reported', async () => {
  const { tell, ticks, nonsense, there } = connect();
  tell('tick', { n: 1 });
  there.post({ event: 'tick', value: { n: 'x' } });
  there.post('hello');
  await wait(0);
  expect(ticks).toEqual([1]);
  expect(nonsense).toHaveBeenCalledTimes(2);
});
