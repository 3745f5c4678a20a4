import { expect, test } from 'vitest';
import { BUILD_BOUNDS, FairQueue, GONE_MS, type QueueBounds } from './fair-queue.ts';
import { FeedQueue } from './feed-queue.ts';

/** A queue whose jobs the test completes. */
class Lab {
  nowMs = 0;
  readonly queue: FairQueue;
  /** Names of the jobs in the order of their starts. */
  readonly started: string[] = [];
  readonly #running = new Map<string, { complete: () => void; gone: AbortSignal }>();

  constructor(bounds: Partial<QueueBounds> = {}) {
    this.queue = new FairQueue({ ...BUILD_BOUNDS, ...bounds }, () => this.nowMs);
  }

  ask(name: string, key: string, bytes = 0): boolean {
    const work = (gone: AbortSignal) => {
      this.started.push(name);
      return new Promise<void>((resolve) => this.#running.set(name, { complete: resolve, gone }));
    };
    return this.queue.ask(name, key, work, bytes) !== null;
  }

  async complete(name: string): Promise<void> {
    this.#running.get(name)?.complete();
    this.#running.delete(name);
    await new Promise((resolve) => setImmediate(resolve));
  }

  async completeAll(): Promise<string[]> {
    for (let name = this.running()[0]; name !== undefined; name = this.running()[0]) await this.complete(name);
    return this.started;
  }

  running(): string[] {
    return [...this.#running.keys()];
  }

  isGone(name: string): boolean | undefined {
    return this.#running.get(name)?.gone.aborted;
  }
}

test('B10 hostile-key: a key with many jobs delays each other key by one job', async () => {
  const lab = new Lab();
  for (let n = 0; n < 8; n++) lab.ask(`hostile ${n}`, 'hostile');
  for (const key of ['a', 'b', 'c']) lab.ask(key, key);
  expect((await lab.completeAll()).slice(0, 5)).toEqual(['hostile 0', 'a', 'b', 'c', 'hostile 1']);
});

test('B10 same-build-from-two-keys: requests for one job share it', async () => {
  const lab = new Lab();
  for (const name of ['first', 'shared', 'shared']) lab.ask(name, 'a');
  lab.ask('shared', 'b');
  expect(await lab.completeAll()).toEqual(['first', 'shared']);
});

test('B10 two-feeds: builds of all feeds run one at a time, and a feed that closes drops only its own', async () => {
  const lab = new Lab();
  const work = (name: string) => () =>
    new Promise<void>((resolve) => {
      lab.started.push(name);
      setImmediate(resolve);
    });
  const [shop, office] = [new FeedQueue(lab.queue, 'shop'), new FeedQueue(lab.queue, 'office')];
  for (const name of ['1', '2', '3']) shop.ask(name, 'key', work(`shop ${name}`));
  for (const name of ['1', '2']) office.ask(name, 'key', work(`office ${name}`));
  expect(lab.queue.state).toMatchObject({ running: 1, waiting: 4 });
  shop.close();
  expect(lab.queue.state).toMatchObject({ running: 1, waiting: 2, dropped: 2 });
  while (lab.queue.state.running > 0) await new Promise((resolve) => setImmediate(resolve));
  expect(lab.started).toEqual(['shop 1', 'office 1', 'office 2']);
});

test('B11 full-queue: a key with 8 waiting jobs, and the 1,001st waiting job, are refused', () => {
  const lab = new Lab();
  for (let n = 0; n <= 8; n++) lab.ask(`hostile ${n}`, 'hostile');
  expect(lab.ask('hostile 9', 'hostile')).toBe(false);
  expect(lab.ask('hostile 8', 'hostile')).toBe(true);
  for (let n = lab.queue.state.waiting; n < 1000; n++) lab.ask(`build ${n}`, `key ${n}`);
  expect(lab.ask('one more', 'other')).toBe(false);
  expect(lab.ask('build 999', 'other')).toBe(true);
  expect(lab.queue.state).toMatchObject({ waiting: 1000, refused: 2 });
});

test('B12 asker-gone: a job is dropped when its clients have not asked again, and frees its place', async () => {
  const lab = new Lab();
  for (const [name, key] of [
    ['running', 'a'],
    ['abandoned', 'b'],
    ['wanted', 'c'],
  ] as const)
    lab.ask(name, key);
  lab.nowMs = GONE_MS;
  lab.ask('wanted', 'c');
  lab.ask('running', 'a');
  lab.nowMs = GONE_MS + 1;
  expect(await lab.completeAll()).toEqual(['running', 'wanted']);
  expect(lab.queue.state.dropped).toBe(1);
});

test('B16 one-key-many-jobs: jobs of different keys run at the same time, never two of one key', async () => {
  const lab = new Lab({ running: 3 });
  for (const [name, key] of [
    ['a1', 'a'],
    ['a2', 'a'],
    ['b1', 'b'],
    ['c1', 'c'],
    ['d1', 'd'],
  ] as const)
    lab.ask(name, key);
  expect(lab.running()).toEqual(['a1', 'b1', 'c1']);
  await lab.complete('a1');
  expect(lab.running()).toEqual(['b1', 'c1', 'd1']);
  await lab.complete('b1');
  expect(lab.running()).toEqual(['c1', 'd1', 'a2']);
});

test('B17 large-inputs: the inputs of all jobs have a bound, and a job that ends frees its share', async () => {
  const lab = new Lab({ bytes: 100 });
  expect(lab.ask('a', 'a', 60)).toBe(true);
  expect(lab.ask('b', 'b', 40)).toBe(true);
  expect(lab.ask('c', 'c', 1)).toBe(false);
  await lab.complete('a');
  expect(lab.ask('c', 'c', 60)).toBe(true);
});

test('B18 asker-gone: a job receives the signal when its last client leaves, and a waiting one is dropped', async () => {
  const lab = new Lab();
  lab.ask('running', 'a');
  lab.ask('running', 'b');
  lab.ask('waiting', 'a');
  lab.queue.leave('running', 'a');
  lab.queue.leave('waiting', 'a');
  expect(lab.isGone('running')).toBe(false);
  lab.queue.leave('running', 'b');
  expect(lab.isGone('running')).toBe(true);
  expect(await lab.completeAll()).toEqual(['running']);
  expect(lab.queue.state).toMatchObject({ running: 0, waiting: 0, dropped: 2 });
});

test('B18 asker-does-not-return: a running job receives the signal when nobody has asked for it for 90 s', () => {
  const lab = new Lab({ running: 2 });
  lab.ask('running', 'a');
  lab.nowMs = GONE_MS;
  lab.ask('other', 'b');
  expect(lab.isGone('running')).toBe(false);
  lab.nowMs = GONE_MS + 1;
  lab.ask('other', 'b');
  expect(lab.isGone('running')).toBe(true);
});

test('B11 place-in-queue: a client is asked to wait for the jobs before its own, from 1 s to 30 s', async () => {
  const lab = new Lab();
  lab.ask('first', 'a');
  expect(lab.queue.retryAfterS('first', 'a')).toBe(1);
  lab.nowMs = 4_000;
  await lab.complete('first');
  lab.ask('second', 'a');
  expect(lab.queue.retryAfterS('second', 'a')).toBe(4);
  lab.nowMs += 1_000;
  expect(lab.queue.retryAfterS('second', 'a')).toBe(3);
  for (const key of ['b', 'c']) lab.ask(key, key);
  expect([lab.queue.retryAfterS('b', 'b'), lab.queue.retryAfterS('c', 'c')]).toEqual([8, 12]);
  for (let n = 0; n < 20; n++) lab.ask(`${n}`, `key ${n}`);
  expect(lab.queue.retryAfterS('19', 'key 19')).toBe(30);
});
