import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { BODIES_BYTES, FEED_LIMITS, InFlight, TERMINAL_LIMITS } from './in-flight.ts';
import { connectionLimit } from './open-files.ts';

const busy = expect.objectContaining({ code: 'relay_busy' });

/** Enters a request. Returns it with a function that ends it. */
function enter(inFlight: InFlight, key: string, isFeed = false) {
  const response = new EventEmitter();
  return { ...inFlight.enter(key, isFeed, response as never), end: () => response.emit('close') };
}

test('B44: the request after the last permitted one of a key is refused, until one of them ends', () => {
  const inFlight = new InFlight();
  const requests = Array.from({ length: TERMINAL_LIMITS.requests }, () => enter(inFlight, 'a'));
  expect(() => enter(inFlight, 'a')).toThrow(busy);
  enter(inFlight, 'b');
  requests[0]?.end();
  enter(inFlight, 'a');
  expect(() => enter(inFlight, 'a')).toThrow(busy);
});

test('B45: bodies have a limit for each key and in all, and the bodies of feeds do not count for others', () => {
  const inFlight = new InFlight();
  const first = enter(inFlight, 'key 0');
  first.hold(TERMINAL_LIMITS.bodyBytes);
  expect(() => first.hold(1)).toThrow(busy);
  const keys = BODIES_BYTES / TERMINAL_LIMITS.bodyBytes;
  for (let n = 1; n < keys; n++) enter(inFlight, `key ${n}`).hold(TERMINAL_LIMITS.bodyBytes);
  expect(() => enter(inFlight, 'other').hold(1)).toThrow(busy);
  const feed = enter(inFlight, 'feed', true);
  feed.hold(FEED_LIMITS.bodyBytes);
  expect(() => feed.hold(1)).toThrow(busy);
  first.end();
  enter(inFlight, 'other').hold(TERMINAL_LIMITS.bodyBytes);
});

test('a key without requests takes no memory', () => {
  const inFlight = new InFlight();
  for (let n = 0; n < 1_000; n++) enter(inFlight, `key ${n}`).end();
  expect(inFlight.size).toBe(0);
});

test.each([
  [Number.POSITIVE_INFINITY, 24_000],
  [25_000, 24_000],
  [20_000, 19_000],
  [1_024, 512],
])('B40: of %d open files, %d may be connections', (files, connections) => {
  expect(connectionLimit(24_000, files)).toBe(connections);
});
