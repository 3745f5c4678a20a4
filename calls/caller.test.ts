import { MessageChannel } from 'node:worker_threads';
import { TidemarkError } from '@tidemark/protocol/errors';
import { afterEach, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { makeCaller } from './caller.ts';
import { Bytes, type Port } from './port.ts';
import { serve } from './server.ts';

const tables = {
  methods: {
    double: { in: z.object({ n: z.int() }), out: z.object({ n: z.int() }), timeoutMs: 60_000 },
    size: { in: z.object({ bytes: Bytes }), out: z.object({ size: z.int() }), timeoutMs: 60_000 },
    wait: { in: z.object({}), out: z.object({}), timeoutMs: 60_000 },
    late: { in: z.object({}), out: z.object({}), timeoutMs: 30 },
    fail: { in: z.object({}), out: z.object({}), timeoutMs: 60_000 },
    fraction: { in: z.object({}), out: z.object({ n: z.int() }), timeoutMs: 60_000 },
    closure: { in: z.object({}), out: z.unknown(), timeoutMs: 60_000 },
  },
  events: { tick: z.object({ n: z.int() }) },
};

const channels: MessageChannel[] = [];
afterEach(() => {
  for (const { port1 } of channels.splice(0)) port1.close();
});

/** Returns two connected ports that copy or transfer messages, as ports between threads do. */
function pipe(): [Port, Port] {
  const channel = new MessageChannel();
  channels.push(channel);
  const end = (port: MessageChannel['port1']): Port => ({
    post: (message, transfer = []) => port.postMessage(message, transfer),
    onMessage: (listener) => void port.on('message', listener),
  });
  return [end(channel.port1), end(channel.port2)];
}

function connect() {
  const [here, there] = pipe();
  const ticks: number[] = [];
  const invalidAnswer = vi.fn();
  const invalidCall = vi.fn();
  const caller = makeCaller(here, tables, {
    on: { tick: ({ n }) => void ticks.push(n) },
    onInvalidMessage: invalidAnswer,
    unanswered: (reason) => new TidemarkError('agent_down', {}, new Error(reason)),
  });
  const emit = serve(
    there,
    tables,
    {
      double: async ({ n }) => ({ n: 2 * n }),
      size: ({ bytes }) => ({ size: bytes.byteLength }),
      wait: () => new Promise(() => {}),
      late: () => new Promise(() => {}),
      fail: () => {
        throw new TidemarkError('db_read_only', { file: 'a.sqlite' });
      },
      fraction: async () => ({ n: 0.5 }),
      closure: async () => () => undefined,
    },
    { onInvalidMessage: invalidCall },
  );
  return { caller, emit, ticks, invalidAnswer, invalidCall, here, there };
}

test('each of several concurrent calls receives its own answer', async () => {
  const { caller } = connect();
  const answers = await Promise.all([1, 2, 3].map((n) => caller.call('double', { n })));
  expect(answers).toEqual([{ n: 2 }, { n: 4 }, { n: 6 }]);
});

test('the caller receives an error with its code and parameters', async () => {
  const { caller } = connect();
  await expect(caller.call('fail', {})).rejects.toMatchObject({ code: 'db_read_only', params: { file: 'a.sqlite' } });
});

test('a transferred buffer moves to the other side', async () => {
  const { caller } = connect();
  const bytes = new Uint8Array([1, 2, 3]);
  const answer = caller.call('size', { bytes }, [bytes.buffer]);
  expect(bytes.byteLength).toBe(0);
  expect(await answer).toEqual({ size: 3 });
});

test.each([true, false])('the bytes of an answer move to the caller only with movesBytes (%s)', async (movesBytes) => {
  const bytes = new Uint8Array([1, 2, 3]);
  const methods = { read: { in: z.object({}), out: z.object({ bytes: Bytes }), timeoutMs: 60_000 } };
  const [here, there] = pipe();
  const caller = makeCaller(
    here,
    { methods, events: {} },
    { on: {}, onInvalidMessage: vi.fn(), unanswered: () => new TidemarkError('agent_down') },
  );
  serve(there, { methods, events: {} }, { read: () => ({ bytes }) }, { onInvalidMessage: vi.fn(), movesBytes });
  expect(await caller.call('read', {})).toEqual({ bytes: new Uint8Array([1, 2, 3]) });
  expect(bytes.byteLength).toBe(movesBytes ? 0 : 3);
});

test('closing rejects every pending call and every later one', async () => {
  const { caller } = connect();
  const pending = [caller.call('wait', {}), caller.call('wait', {})];
  caller.close('it ended');
  for (const call of [...pending, caller.call('double', { n: 1 })])
    await expect(call).rejects.toMatchObject({ code: 'agent_down', cause: { message: 'it ended' } });
});

test('a call without an answer is rejected at its time limit', async () => {
  const { caller } = connect();
  await expect(caller.call('late', {})).rejects.toMatchObject({
    code: 'agent_down',
    cause: { message: 'no answer to late within 30 ms' },
  });
});

test('an answer after the time limit is dropped', async () => {
  const { caller, invalidAnswer, there } = connect();
  await expect(caller.call('late', {})).rejects.toThrow();
  there.post({ id: 1, ok: true, value: {} });
  expect(await caller.call('double', { n: 1 })).toEqual({ n: 2 });
  expect(invalidAnswer).not.toHaveBeenCalled();
});

test('rejects input that does not match the schema with request_invalid', async () => {
  const { caller } = connect();
  const text = 'x' as unknown as number;
  await expect(caller.call('double', { n: text })).rejects.toMatchObject({ code: 'request_invalid' });
});

test('rejects an unknown method, and one inherited from Object, with request_invalid', async () => {
  const { here, there } = connect();
  const answers: unknown[] = [];
  const answered = new Promise<void>((resolve) => {
    here.onMessage((message) => {
      answers.push(message);
      if (answers.length === 2) resolve();
    });
  });
  here.post({ id: 1, method: 'toString', input: {} });
  here.post({ id: 2, method: 'triple', input: {} });
  await answered;
  expect(answers).toMatchObject([
    { id: 1, ok: false, fault: { code: 'request_invalid' } },
    { id: 2, ok: false, fault: { code: 'request_invalid' } },
  ]);
  void there;
});

test('rejects the call when the output does not match the schema', async () => {
  const { caller } = connect();
  await expect(caller.call('fraction', {})).rejects.toMatchObject({ code: 'internal' });
});

test('rejects the call when the output cannot be posted', async () => {
  const { caller } = connect();
  await expect(caller.call('closure', {})).rejects.toMatchObject({ code: 'internal' });
});

test('rejects input that cannot be posted immediately', async () => {
  const { caller } = connect();
  const input = { bytes: (() => undefined) as unknown as Uint8Array<ArrayBuffer> };
  await expect(caller.call('size', input)).rejects.toThrow('could not be cloned');
});

test('never returns an answer that does not match the schema', async () => {
  const [here, there] = pipe();
  const caller = makeCaller(here, tables, {
    on: { tick: () => undefined },
    onInvalidMessage: () => undefined,
    unanswered: () => new TidemarkError('agent_down'),
  });
  there.onMessage(() => there.post({ id: 1, ok: true, value: { n: 'two' } }));
  await expect(caller.call('double', { n: 1 })).rejects.toMatchObject({ code: 'internal' });
});

test('delivers valid events, and reports and drops every other message', async () => {
  const { caller, emit, ticks, invalidAnswer, there } = connect();
  emit('tick', { n: 1 });
  for (const message of [
    { event: 'tick', value: { n: 'x' } },
    { event: 'toString', value: 1 },
    'hello',
    null,
    { id: 1 },
  ])
    there.post(message);
  await caller.call('double', { n: 1 });
  expect(ticks).toEqual([1]);
  expect(invalidAnswer).toHaveBeenCalledTimes(5);
});

test('the server reports a message that is not a call and keeps answering', async () => {
  const { caller, invalidCall, here } = connect();
  for (const message of ['hello', null, { id: 'x', method: 'double' }, { id: 1 }]) here.post(message);
  expect(await caller.call('double', { n: 4 })).toEqual({ n: 8 });
  expect(invalidCall).toHaveBeenCalledTimes(4);
});
