import { expect, test } from 'vitest';
import { LongPolls } from './long-polls.ts';

const LONG_MS = 600_000;
const never = () => new AbortController().signal;

test('a commit answers only the requests that wait for one of its scopes', async () => {
  const polls = new LongPolls();
  const answered: string[] = [];
  const wait = (name: string, scopes: string[]) => polls.wait(scopes, LONG_MS, never()).then(() => answered.push(name));
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
  await new LongPolls().wait(['*'], 10, never());
});

test('drops a request whose caller disconnects', async () => {
  const polls = new LongPolls();
  const caller = new AbortController();
  const answered = polls.wait(['*'], LONG_MS, caller.signal);
  caller.abort();
  await answered;
});

test('does not wait for a caller that has already disconnected', async () => {
  await new LongPolls().wait(['*'], LONG_MS, AbortSignal.abort());
});

test('answers every request when the relay stops', async () => {
  const polls = new LongPolls();
  const waiting = ['branch=7', 'branch=8'].map((scope) => polls.wait([scope], LONG_MS, never()));
  polls.wakeAll();
  await Promise.all(waiting);
});

test('a commit that concerns 10,000 requests ends no wait before its caller continues, and then ends them in slices', async () => {
  const polls = new LongPolls();
  const answered: number[] = [];
  const waiting = Array.from({ length: 10_000 }, (_, n) =>
    polls.wait(['*'], LONG_MS, never()).then(() => answered.push(n)),
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
  const waiting = polls.wait(['*'], LONG_MS, caller.signal);
  polls.wake(['*']);
  caller.abort();
  await waiting;
  const next = polls.wait(['*'], LONG_MS, never());
  polls.wake(['*']);
  await next;
});
