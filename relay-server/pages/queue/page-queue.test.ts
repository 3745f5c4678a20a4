import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { ReadyPage } from '../compression.ts';
import { ENTRY_BYTES, ReadyPages } from '../ready-pages.ts';
import { PATIENCE_MS, PageQueue, WAITING_MAX, WAITING_MAX_OF_KEY } from './page-queue.ts';
import { ANSWER_BYTES, type HeldPage, UNREAD_BYTES, UNREAD_BYTES_OF_KEY } from './unread-answers.ts';

const MIB = 1024 * 1024;
const pageOf = (sizeBytes: number): ReadyPage => ({ bytes: Buffer.alloc(sizeBytes), coding: 'identity' });

/** A queue whose pages the test completes one at a time. */
class Lab {
  readonly queue: PageQueue;
  /** Names of the pages in the order in which the queue built them. */
  readonly built: string[] = [];
  /** Keys of the requests that received a page, in order. */
  readonly served: string[] = [];
  #complete: ((result: ReadyPage | Error) => void) | null = null;

  constructor(cacheBytes = 1) {
    this.queue = new PageQueue(new ReadyPages(cacheBytes));
  }

  ask(name: string, key: string, signal = new AbortController().signal): Promise<HeldPage | null> {
    const held = this.queue.get(name, { key, signal: () => signal }, () => {
      this.built.push(name);
      return new Promise((resolve, reject) => {
        this.#complete = (result) => (result instanceof Error ? reject(result) : resolve(result));
      });
    });
    held.then(
      (page) => page && this.served.push(key),
      () => undefined,
    );
    return held;
  }

  /** Completes the page that the queue builds. Returns whether there was one. */
  async complete(result: ReadyPage | Error): Promise<boolean> {
    const complete = this.#complete;
    this.#complete = null;
    complete?.(result);
    await turn();
    await turn();
    return complete !== null;
  }

  async completeAll(result: ReadyPage): Promise<void> {
    while (await this.complete(result));
  }
}

/** Returns the number of pages of this size that fit into a bound. The last of them may exceed it. */
const fitting = (bound: number, sizeBytes: number) => Math.ceil(bound / (sizeBytes + ANSWER_BYTES));

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

test('B2 hostile-key: a key with many requests delays each other key by one page', async () => {
  const lab = new Lab();
  for (let n = 0; n < 6; n++) void lab.ask(`hostile ${n}`, 'hostile');
  for (const key of ['a', 'b', 'c']) void lab.ask(key, key);
  await lab.completeAll(pageOf(10));
  expect(lab.built.slice(0, 5)).toEqual(['hostile 0', 'a', 'b', 'c', 'hostile 1']);
  expect(lab.served.filter((key) => key === 'hostile')).toHaveLength(6);
});

test('B2 same-page: requests for one page share it, before and during its build', async () => {
  const lab = new Lab();
  void lab.ask('first', 'a');
  const shared = ['a', 'b', 'c'].map((key) => lab.ask('shared', key));
  await lab.complete(pageOf(10));
  shared.push(lab.ask('shared', 'd'));
  await lab.complete(pageOf(10));
  const pages = await Promise.all(shared);
  expect(new Set(pages.map((held) => held?.page.bytes)).size).toBe(1);
  expect(lab.built).toEqual(['first', 'shared']);
});

test('B2 failed-page: an error rejects all requests for the page, and the next request builds it again', async () => {
  const lab = new Lab();
  const failing = ['a', 'b'].map((key) => lab.ask('broken', key));
  const other = lab.ask('other', 'c');
  const settled = Promise.allSettled(failing);
  await lab.complete(new Error('the thread ended'));
  for (const result of await settled) expect(result).toMatchObject({ reason: { message: 'the thread ended' } });
  await lab.complete(pageOf(10));
  expect((await other)?.page.bytes.length).toBe(10);
  const again = lab.ask('broken', 'a');
  await lab.complete(pageOf(20));
  expect((await again)?.page.bytes.length).toBe(20);
});

test('B2 same-page-for-everyone: other work of the event loop runs between the answers', async () => {
  const lab = new Lab(MIB);
  const all = Array.from({ length: 1000 }, (_, n) => lab.ask('news', `key ${n}`));
  await lab.complete(pageOf(10));
  expect(lab.served.length).toBeLessThan(100);
  await Promise.all(all);
  expect(lab.built).toEqual(['news']);
});

test('B6 many-pages-at-once: pages that wait do not evict ready ones; the newest pages are ready', async () => {
  const sizeBytes = 1000;
  const lab = new Lab(3 * (sizeBytes + 1 + ENTRY_BYTES));
  const names = ['a', 'b', 'c', 'd', 'e'];
  const asked = names.map((name) => lab.ask(name, name));
  await lab.completeAll(pageOf(sizeBytes));
  for (const held of await Promise.all(asked)) held?.release();
  for (const name of ['c', 'd', 'e']) await lab.ask(name, name);
  expect(lab.built).toEqual(names);
  for (const name of ['a', 'b']) void lab.ask(name, name);
  await lab.completeAll(pageOf(sizeBytes));
  expect(lab.built).toEqual([...names, 'a', 'b']);
});

test('B3 full-queue: the 33rd waiting request of a key and the 2,001st in all get relay_busy', async () => {
  const lab = new Lab(MIB);
  const ready = lab.ask('ready', 'a');
  await lab.complete(pageOf(10));
  (await ready)?.release();
  for (let n = 0; n < WAITING_MAX_OF_KEY; n++) void lab.ask(`hostile ${n}`, 'hostile');
  await expect(lab.ask('one more', 'hostile')).rejects.toMatchObject({ code: 'relay_busy' });
  for (let n = WAITING_MAX_OF_KEY; n < WAITING_MAX; n++) void lab.ask(`page ${n}`, `key ${n}`);
  await expect(lab.ask('one more', 'other')).rejects.toMatchObject({ code: 'relay_busy' });
  expect(lab.queue.state).toMatchObject({ waiting: WAITING_MAX, running: 1, refused: 2 });
  // A page that is ready needs no place in the queue.
  expect((await lab.ask('ready', 'other'))?.page.bytes.length).toBe(10);
  // A request that is served frees its place.
  await lab.complete(pageOf(10));
  void lab.ask('one more', 'hostile');
  await lab.completeAll(pageOf(10));
  expect(lab.built).toContain('one more');
});

test('B3 long-wait: a request gets relay_busy after 8 s, even during the build of its page', async () => {
  const lab = new Lab(MIB);
  const building = lab.ask('building', 'a');
  const waiting = lab.ask('waiting', 'b');
  const settled = Promise.allSettled([building, waiting]);
  vi.advanceTimersByTime(PATIENCE_MS - 1);
  const later = lab.ask('later', 'c');
  vi.advanceTimersByTime(1);
  for (const result of await settled) expect(result).toMatchObject({ reason: { code: 'relay_busy' } });
  await lab.completeAll(pageOf(10));
  expect((await later)?.page.bytes.length).toBe(10);
  // The page whose build was in progress is ready for the next request. The other one was never built.
  expect((await lab.ask('building', 'a'))?.page.bytes.length).toBe(10);
  expect(lab.built).toEqual(['building', 'later']);
});

test('B3 long-wait-for-everyone: other work of the event loop runs between the refusals', async () => {
  const lab = new Lab();
  let refused = 0;
  const all = Array.from({ length: 1000 }, (_, n) =>
    lab.ask(`page ${n}`, `key ${n}`).catch(() => {
      refused++;
    }),
  );
  vi.advanceTimersByTime(PATIENCE_MS);
  await turn();
  expect(refused).toBeLessThan(100);
  await Promise.all(all);
  expect(refused).toBe(1000);
});

test('B3 asker-gone: a request leaves the queue when its client has gone, and the relay does not build its page', async () => {
  const lab = new Lab();
  const gone = new AbortController();
  void lab.ask('first', 'a');
  const abandoned = lab.ask('abandoned', 'b', gone.signal);
  const wanted = lab.ask('wanted', 'c');
  gone.abort();
  expect(await abandoned).toBeNull();
  expect(lab.queue.state).toEqual({ waiting: 2, running: 1, refused: 0, dropped: 1 });
  expect(await lab.ask('too late', 'b', gone.signal)).toBeNull();
  await lab.completeAll(pageOf(10));
  expect((await wanted)?.page.bytes.length).toBe(10);
  expect(lab.built).toEqual(['first', 'wanted']);
});

test('B4 unread-pages: a key with 4 MiB unread waits until it has read, and other keys continue', async () => {
  const lab = new Lab();
  const most = fitting(UNREAD_BYTES_OF_KEY, MIB);
  const held: (HeldPage | null)[] = [];
  for (let n = 0; n < most; n++) {
    const page = lab.ask(`hostile ${n}`, 'hostile');
    await lab.complete(pageOf(MIB));
    held.push(await page);
  }
  void lab.ask('one more', 'hostile');
  const other = lab.ask('other', 'other');
  await lab.complete(pageOf(10));
  expect((await other)?.page.bytes.length).toBe(10);
  expect(lab.built).not.toContain('one more');
  held[0]?.release();
  await turn();
  expect(lab.built).toContain('one more');
});

test('B4 unread-pages: with 32 MiB unread in all, the relay builds no page until a client reads one', async () => {
  const lab = new Lab();
  const most = fitting(UNREAD_BYTES, MIB);
  const held: (HeldPage | null)[] = [];
  for (let n = 0; n < most; n++) {
    const page = lab.ask(`page ${n}`, `key ${n}`);
    await lab.complete(pageOf(MIB));
    held.push(await page);
  }
  expect(held.every((page) => page !== null)).toBe(true);
  const other = lab.ask('one more', 'other');
  await turn();
  expect(lab.built).not.toContain('one more');
  held[0]?.release();
  await lab.complete(pageOf(10));
  expect((await other)?.page.bytes.length).toBe(10);
});

test('B4 unread-pages: a ready page counts while an answer holds it, once for all answers', async () => {
  const lab = new Lab(16 * MIB);
  const first = lab.ask('shared', 'a');
  await lab.complete(pageOf(MIB));
  await first;
  // Many more answers than the bound permits of different pages.
  const answers = Array.from({ length: 1000 }, (_, n) => lab.ask('shared', `key ${n}`));
  expect((await Promise.all(answers)).every((page) => page !== null)).toBe(true);
  const ofOneKey = Array.from({ length: fitting(UNREAD_BYTES_OF_KEY, MIB) }, () => lab.ask('shared', 'b'));
  await Promise.all(ofOneKey);
  const waiting = lab.ask('shared', 'b');
  await turn();
  expect(lab.served.filter((key) => key === 'b')).toHaveLength(ofOneKey.length);
  (await ofOneKey[0])?.release();
  expect((await waiting)?.page.bytes.length).toBe(MIB);
  expect(lab.built).toEqual(['shared']);
});

test('B4 large-row: a page that is larger than the bounds is served, and no other page until a client has read it', async () => {
  const lab = new Lab();
  const large = lab.ask('large', 'a');
  const other = lab.ask('other', 'b');
  await lab.complete(pageOf(UNREAD_BYTES + MIB));
  const held = await large;
  expect(held?.page.bytes.length).toBe(UNREAD_BYTES + MIB);
  expect(lab.built).toEqual(['large']);
  held?.release();
  await lab.complete(pageOf(10));
  expect((await other)?.page.bytes.length).toBe(10);
});
