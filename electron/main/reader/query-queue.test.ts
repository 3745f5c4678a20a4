import { QUERY_LIMIT_MS, WINDOW_METHODS } from '@tidemark/data-reader/contract';
import { TidemarkError } from '@tidemark/protocol/errors';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { QueryQueue } from './query-queue.ts';
import type { Database, ReaderProcess } from './reader-process.ts';

/** A process whose calls the test answers. Like a real one, it rejects its calls when it ends. */
class TestProcess implements ReaderProcess {
  readonly #ended = Promise.withResolvers<void>();
  readonly calls: { method: string; input: unknown; answer: (value: unknown) => void }[] = [];
  readonly ready = Promise.resolve();
  readonly ended = this.#ended.promise;
  readonly database: Database;
  hasEnded = false;

  constructor(database: Database) {
    this.database = database;
  }

  readonly call = ((method: string, input: unknown) =>
    new Promise((resolve, reject) => {
      this.calls.push({ method, input, answer: (value) => resolve(value as never) });
      void this.ended.then(() => reject(new TidemarkError('reader_down')));
    })) as ReaderProcess['call'];

  readonly end = (): void => {
    this.hasEnded = true;
    this.#ended.resolve();
  };
}

let processes: TestProcess[];
let database: Database | null;
let now: number;
let queue: QueryQueue;
beforeEach(() => {
  processes = [];
  database = { databasePath: '/data/shop.sqlite', feed: 'shop' };
  now = 0;
  queue = new QueryQueue({
    database: () => database,
    start: (of) => {
      const started = new TestProcess(of);
      processes.push(started);
      return started;
    },
    now: () => now,
  });
});

const tables = () => Promise.resolve(queue.forwarded['data.tables']({}));
const count = (table: string) =>
  Promise.resolve(queue.forwarded['data.count']({ set: { table, filters: [], sort: null } }));

/** Waits until process `index` has received its call number `call`. */
const received = (index: number, call: number) =>
  vi.waitFor(() => {
    const found = processes[index]?.calls[call];
    if (!found) throw new Error('not yet');
    return found;
  });

test('forwards each method of the window under its own name', async () => {
  const methods = Object.keys(WINDOW_METHODS) as (keyof typeof WINDOW_METHODS)[];
  for (const [i, method] of methods.entries()) {
    const answer = (queue.forwarded[method] as (input: unknown) => Promise<unknown>)({ n: i });
    const call = await received(0, i);
    expect(call).toMatchObject({ method, input: { n: i } });
    call.answer(`answer ${i}`);
    expect(await answer).toBe(`answer ${i}`);
  }
  expect(processes).toHaveLength(1);
});

test('starts no process before the first query, and none before the app is set up', async () => {
  expect(processes).toHaveLength(0);
  database = null;
  await expect(tables()).rejects.toMatchObject({ code: 'not_configured' });
  expect(processes).toHaveLength(0);
});

test('sends one query at a time', async () => {
  const answers = [count('a'), count('b')];
  const first = await received(0, 0);
  expect(processes[0]?.calls).toHaveLength(1);
  first.answer({ total: 1 });
  (await received(0, 1)).answer({ total: 2 });
  expect(await Promise.all(answers)).toEqual([{ total: 1 }, { total: 2 }]);
});

test('endless-query: ends the process at the time limit, and the next query has another process', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const endless = count('a');
  const next = count('b');
  const refused = expect(endless).rejects.toMatchObject({ code: 'query_timeout', params: { seconds: 30 } });
  await vi.advanceTimersByTimeAsync(QUERY_LIMIT_MS - 1);
  expect(processes[0]?.hasEnded).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  await refused;
  expect(processes[0]?.hasEnded).toBe(true);
  await vi.advanceTimersByTimeAsync(0);
  processes[1]?.calls[0]?.answer({ total: 2 });
  expect(await next).toEqual({ total: 2 });
});

test('cancelling rejects all queries, and ends the process of a query that has run for a while', async () => {
  const cancelled = [count('a'), count('b')];
  await received(0, 0);
  now = 1000;
  queue.cancel();
  for (const each of cancelled) await expect(each).rejects.toMatchObject({ code: 'query_cancelled' });
  expect(processes[0]?.hasEnded).toBe(true);
  const next = count('c');
  (await received(1, 0)).answer({ total: 3 });
  expect(await next).toEqual({ total: 3 });
});

test('cancelling does not end the process of a query that has just begun', async () => {
  const running = count('a');
  const call = await received(0, 0);
  now = 100;
  queue.cancel();
  expect(processes[0]?.hasEnded).toBe(false);
  call.answer({ total: 1 });
  expect(await running).toEqual({ total: 1 });
});

test('a process that crashes rejects its query, and the next query has another process', async () => {
  const first = count('a');
  await received(0, 0);
  processes[0]?.end();
  await expect(first).rejects.toMatchObject({ code: 'reader_down' });
  const next = count('b');
  (await received(1, 0)).answer({ total: 2 });
  expect(await next).toEqual({ total: 2 });
});

test('reads the new replica after the feed or the path has changed', async () => {
  const first = count('a');
  (await received(0, 0)).answer({ total: 1 });
  await first;
  database = { databasePath: '/data/toys.sqlite', feed: 'toys' };
  const second = count('a');
  (await received(1, 0)).answer({ total: 2 });
  await second;
  expect(processes.map(({ hasEnded, database: { feed } }) => [feed, hasEnded])).toEqual([
    ['shop', true],
    ['toys', false],
  ]);
});
