import { setImmediate as nextIteration } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { KeyTurns, WAITING_MAX } from './key-turns.ts';

test('B19 many-requests-of-one-key: each iteration of the event loop serves one request of each key, in order', async () => {
  const turns = new KeyTurns();
  const served: string[] = [];
  const ask = async (name: string, key: string) => {
    await turns.take(key);
    served.push(name);
  };
  const all = ['a1', 'a2', 'a3', 'a4', 'b1', 'b2'].map((name) => ask(name, name.charAt(0)));
  await nextIteration();
  await nextIteration();
  const c = ask('c1', 'c');
  await Promise.all([...all, c]);
  expect(served.filter((name) => name.startsWith('a'))).toEqual(['a1', 'a2', 'a3', 'a4']);
  expect(served.indexOf('b1')).toBeLessThan(served.indexOf('a2'));
  expect(served.indexOf('c1')).toBeLessThan(served.indexOf('a4'));
});

test('B19 idle-key: a key has its turn at once when it has no other request in this iteration', async () => {
  const turns = new KeyTurns();
  expect(turns.take('a')).toBeNull();
  expect(turns.take('b')).toBeNull();
  await nextIteration();
  expect(turns.take('a')).toBeNull();
});

test('B19 full-queue: a key with 256 waiting requests is refused, and another key has its turn', () => {
  const turns = new KeyTurns();
  expect(turns.take('a')).toBeNull();
  for (let n = 0; n < WAITING_MAX; n++) expect(turns.take('a')).toBeInstanceOf(Promise);
  expect(() => turns.take('a')).toThrow(expect.objectContaining({ code: 'relay_busy' }));
  expect(turns.take('b')).toBeNull();
});
