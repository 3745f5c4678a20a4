import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { WorkerThread } from './worker-thread.ts';

const methods = {
  pid: { in: z.object({}), out: z.object({ thread: z.int() }), timeoutMs: 60_000 },
  die: { in: z.object({}), out: z.object({}), timeoutMs: 60_000 },
  throw: { in: z.object({}), out: z.object({}), timeoutMs: 60_000 },
  wait: { in: z.object({}), out: z.object({}), timeoutMs: 60_000 },
  late: { in: z.object({}), out: z.object({}), timeoutMs: 50 },
  nonsense: { in: z.object({}), out: z.object({}), timeoutMs: 60_000 },
};

/** A thread that implements the messages by hand, so that it can also send invalid ones. */
const MODULE = `
import { parentPort, threadId } from 'node:worker_threads';
parentPort.on('message', ({ id, method }) => {
  if (method === 'pid') parentPort.postMessage({ id, ok: true, value: { thread: threadId } });
  if (method === 'die') process.exit(3);
  if (method === 'throw') throw new Error('out of luck');
  if (method === 'nonsense') parentPort.postMessage({ answer: 'yes' });
});
`;

let folder: string;
let thread: WorkerThread<typeof methods>;
beforeAll(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'tidemark-calls-'));
  writeFileSync(path.join(folder, 'worker.mjs'), MODULE);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const start = () => {
  const module = pathToFileURL(path.join(folder, 'worker.mjs'));
  thread = new WorkerThread({ module, name: 'the test thread', methods });
};
afterEach(async () => {
  await thread.terminate();
});

test.each([
  ['die', 'it ended with code 3'],
  ['throw', 'out of luck'],
  ['nonsense', 'neither an answer nor an event'],
] as const)(
  'a thread that fails in a call (%s) rejects every pending call, and the next call starts a new thread',
  async (method, why) => {
    start();
    const { thread: first } = await thread.call('pid', {});
    const pending = [thread.call('wait', {}), thread.call(method, {}), thread.call('wait', {})];
    for (const result of await Promise.allSettled(pending))
      expect(result).toMatchObject({
        reason: { code: 'internal', params: { detail: expect.stringContaining(why) } },
      });
    const { thread: second } = await thread.call('pid', {});
    expect(second).not.toBe(first);
  },
);

test('a call that gets no answer is rejected at its time limit, and the thread keeps answering', async () => {
  start();
  const { thread: first } = await thread.call('pid', {});
  await expect(thread.call('late', {})).rejects.toMatchObject({
    code: 'internal',
    params: { detail: 'the test thread did not answer: no answer to late within 50 ms' },
  });
  expect(await thread.call('pid', {})).toEqual({ thread: first });
});

test('calls are rejected when the module of the thread cannot be loaded', async () => {
  thread = new WorkerThread({ module: pathToFileURL(path.join(folder, 'none.mjs')), name: 'it', methods });
  await expect(thread.call('pid', {})).rejects.toMatchObject({ code: 'internal' });
});

test('termination rejects pending calls', async () => {
  start();
  const pending = thread.call('wait', {});
  await Promise.all([thread.terminate(), expect(pending).rejects.toMatchObject({ code: 'internal' })]);
  expect(thread.running).toBe(false);
});

test('`end` rejects pending calls and waits for the thread; the next call starts a new thread', async () => {
  start();
  const { thread: first } = await thread.call('pid', {});
  const pending = thread.call('wait', {});
  const ended = thread.end();
  const next = thread.call('pid', {});
  await Promise.all([ended, expect(pending).rejects.toMatchObject({ code: 'internal' })]);
  expect((await next).thread).not.toBe(first);
});
