import { expect, test } from 'vitest';
import { LongPolls } from './long-polls.ts';

const LONG_MS = 600_000;
const never = () => new AbortController().signal;

test('a commit answers only the requests that wait for one of its scopes', async () => {
  const polls = new LongPolls();
  const answered: string[] = [];
  const wait = (name: string, scopes: string[]) =>
    polls.wait(name, scopes, LONG_MS, never()).then(() => answered.push(name));
  const seven = wait('seven', ['*', 'branch=7']);
  const eight = wait('eight', ['*', 'branch=8']);
  polls.wake(['branch=7']);
  await seven;
  expect(answered).toEqual(['seven']);
  polls.wake(['*']);
  await eight;
  expect(answered).toEqual(['seven', 'eight']);
});

test('answers a request at its time limit', async () => {
  await new LongPolls().wait('key', ['*'], 10, never());
});

test('drops a request whose caller disconnects', async () => {
  const polls = new LongPolls();
  const caller = new AbortController();
  const answered = polls.wait('key', ['*'], LONG_MS, caller.signal);
  caller.abort();
  await answered;
});

test('does not wait for a caller that has already disconnected', async () => {
  await new LongPolls().wait('key', ['*'], LONG_MS, AbortSignal.abort());
});

test('answers every request when the relay stops', async () => {
  const polls = new LongPolls();
  const waiting = ['branch=7', 'branch=8'].map((scope) => polls.wait(scope, [scope], LONG_MS, never()));
  polls.wakeAll();
  await Promise.all(waiting);
});

test('a commit that concerns 10,000 requests ends no wait before its caller continues, and then ends them in slices', async () => {
  const polls = new LongPolls();
  const answered: number[] = [];
  const waiting = Array.from({ length: 10_000 }, (_, n) =>
    polls.wait(`key ${n}`, ['*'], LONG_MS, never()).then(() => answered.push(n)),
  );
  polls.wake(['*']);
  // The answer to the feed follows in microtasks of the same turn.
  for (let n = 0; n < 100; n++) await Promise.resolve();
  expect(answered.length).toBe(0);
  let longest = 0;
  while (answered.length < waiting.length) {
    const before = answered.length;
    await new Promise(setImmediate);
    longest = Math.max(longest, answered.length - before);
  }
  await Promise.all(waiting);
  expect(longest).toBeLessThanOrEqual(32);
  expect(answered).toEqual(waiting.map((_, n) => n));
});

test('a request whose caller disconnects between two slices is dropped', async () => {
  const polls = new LongPolls();
  const caller = new AbortController();
  const waiting = polls.wait('key', ['*'], LONG_MS, caller.signal);
  polls.wake(['*']);
  caller.abort();
  await waiting;
  const next = polls.wait('key', ['*'], LONG_MS, never());
  polls.wake(['*']);
  await next;
});

test('B46: a key with 16 waits is refused a further one, until one of them ends', async () => {
  const polls = new LongPolls();
  const callers = Array.from({ length: 16 }, () => new AbortController());
  const waiting = callers.map(({ signal }) => polls.wait('key', ['*'], LONG_MS, signal));
  await expect(polls.wait('key', ['*'], LONG_MS, never())).rejects.toMatchObject({
    code: 'relay_busy',
    retryAfterS: 5,
  });
  const other = polls.wait('other', ['*'], LONG_MS, never());
  callers[0]?.abort();
  await waiting[0];
  const again = polls.wait('key', ['*'], LONG_MS, never());
  polls.wake(['*']);
  await Promise.all([...waiting, other, again]);
});

test('B46: 20,000 requests wait in all, and a further one is refused', async () => {
  const polls = new LongPolls();
  const waiting = Array.from({ length: 20_000 }, (_, n) => polls.wait(`key ${n}`, ['*'], LONG_MS, never()));
  await expect(polls.wait('further', ['*'], LONG_MS, never())).rejects.toMatchObject({ code: 'relay_busy' });
  polls.wake(['*']);
  await Promise.all(waiting);
  await polls.wait('further', ['*'], 10, never());
});
