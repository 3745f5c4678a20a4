import { expect, test } from 'vitest';
import { FairQueue, GONE_MS } from './fair-queue.ts';

/** A queue whose builds the test completes one at a time. */
class Lab {
  nowMs = 0;
  readonly queue = new FairQueue(() => this.nowMs);
  /** Names of the builds in the order of their starts. */
  readonly started: string[] = [];
  #complete: () => void = () => undefined;

  ask(name: string, key: string): boolean {
    return this.queue.ask(name, key, () => {
      this.started.push(name);
      return new Promise((resolve) => {
        this.#complete = resolve;
      });
    });
  }

  async completeAll(): Promise<string[]> {
    for (let before = -1; before !== this.started.length; ) {
      before = this.started.length;
      this.#complete();
      await new Promise((resolve) => setImmediate(resolve));
    }
    return this.started;
  }
}

test('B10 hostile-key: a key with many builds delays each other key by one build', async () => {
  const lab = new Lab();
  for (let n = 0; n < 8; n++) lab.ask(`hostile ${n}`, 'hostile');
  for (const key of ['a', 'b', 'c']) lab.ask(key, key);
  expect((await lab.completeAll()).slice(0, 5)).toEqual(['hostile 0', 'a', 'b', 'c', 'hostile 1']);
});

test('B10 same-build-from-two-keys: requests for one build share it', async () => {
  const lab = new Lab();
  for (const name of ['first', 'shared', 'shared']) lab.ask(name, 'a');
  lab.ask('shared', 'b');
  expect(await lab.completeAll()).toEqual(['first', 'shared']);
});

test('B11 full-queue: a key with 8 waiting builds, and the 1,001st waiting build, are refused', () => {
  const lab = new Lab();
  for (let n = 0; n <= 8; n++) lab.ask(`hostile ${n}`, 'hostile');
  expect(lab.ask('hostile 9', 'hostile')).toBe(false);
  expect(lab.ask('hostile 8', 'hostile')).toBe(true);
  for (let n = lab.queue.waiting; n < 1000; n++) lab.ask(`build ${n}`, `key ${n}`);
  expect(lab.ask('one more', 'other')).toBe(false);
  expect(lab.ask('build 999', 'other')).toBe(true);
  expect(lab.queue.waiting).toBe(1000);
});

test('B12 asker-gone: a build is dropped when its clients have not asked again, and frees its place', async () => {
  const lab = new Lab();
  for (const [name, key] of [
    ['running', 'a'],
    ['abandoned', 'b'],
    ['wanted', 'c'],
  ] as const)
    lab.ask(name, key);
  lab.nowMs = GONE_MS;
  lab.ask('wanted', 'c');
  lab.nowMs = GONE_MS + 1;
  expect(await lab.completeAll()).toEqual(['running', 'wanted']);
});
