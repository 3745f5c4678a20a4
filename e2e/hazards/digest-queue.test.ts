import { PATHS } from '@tidemark/protocol/paths';
import { until } from '@tidemark/testing/processes';
import { TestRelay } from '@tidemark/testing/test-relay';
import { afterEach, beforeEach, expect, test } from 'vitest';

/** The queue of digests and rows at a real relay: its bounds, turns between keys, and callers that disconnect. */

const ROWS = 20_000;
/** Keys of terminals: enough to fill the queue. */
const KEYS = Array.from({ length: 140 }, (_, n) => `pc-${n}`);

let relay: TestRelay;
let path = '';
const callers = new Set<AbortController>();
beforeEach(async () => {
  relay = await TestRelay.start('{}', Object.fromEntries(KEYS.map((key) => [key, {}])));
  await relay.base(ROWS);
  const manifest = PATHS.snapshot('shop');
  await until(
    async () => (await relay.get(manifest)).ok,
    () => 'the snapshot is not built',
  );
  const { cursor } = (await (await relay.get(manifest)).json()) as { cursor: { epoch: string; seq: number } };
  path = PATHS.digests('shop', cursor.epoch, 'all', cursor.seq);
});
afterEach(async () => {
  for (const caller of callers) caller.abort();
  callers.clear();
  await relay.stop();
});

interface Answer {
  status: number;
  body: { code?: string; params?: { detail?: string }; answers?: unknown[] };
  retryAfter: string | null;
}

/** Sends a digests request. `leave` disconnects its caller. */
function ask(key: string, body: unknown): { answer: Promise<Answer>; leave: () => void } {
  const caller = new AbortController();
  callers.add(caller);
  const answer = fetch(relay.url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${relay.token(key)}` },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    signal: caller.signal,
  }).then(async (response) => ({
    status: response.status,
    body: (await response.json()) as Answer['body'],
    retryAfter: response.headers.get('retry-after'),
  }));
  answer.catch(() => undefined);
  return { answer, leave: () => caller.abort() };
}

const everything = { after: null, upto: null };
/** Returns a request that reads five million rows, different for each `n`. */
const heavy = (n: number) => ({
  asks: Array.from({ length: 256 }, (_, i) => ({
    table: 1,
    range: i === 0 ? { after: [-n], upto: null } : everything,
    parts: 16,
  })),
});
const short = { asks: [{ table: 1, range: { after: null, upto: [10] }, parts: 1 }] };

/** Returns a metric of the queue. */
async function metric(name: string): Promise<number> {
  const text = await (await relay.get('/metrics', relay.token('admin'))).text();
  return Number(new RegExp(`^relay_queue_${name}\\{queue="digests"\\} (\\d+)$`, 'm').exec(text)?.[1]);
}
const reaches = (name: string, value: number) =>
  until(
    async () => (await metric(name)) === value,
    () => `relay_queue_${name} does not reach ${value}`,
  );

test('B16 hostile-key: the short request of another key is answered while a long one runs', async () => {
  for (let n = 0; n < 9; n++) ask('pc-0', heavy(n));
  await reaches('waiting', 8);
  expect(await metric('running')).toBe(1);
  expect(await ask('pc-1', short).answer).toMatchObject({ status: 200, body: { answers: [[{ rows: 10 }]] } });
  expect(await metric('running')).toBe(1);
});

test('B18 asker-disconnects: a digest stops when its last caller disconnects, and is not kept', async () => {
  const [first, second] = [ask('pc-0', heavy(0)), ask('pc-1', heavy(0))];
  const waiting = ask('pc-0', heavy(1));
  await reaches('waiting', 1);
  first.leave();
  waiting.leave();
  await reaches('waiting', 0);
  expect([await metric('running'), await metric('dropped_total')]).toEqual([1, 1]);
  second.leave();
  // The thread has ended the call when its place is free.
  await reaches('running', 0);
  expect(await metric('dropped_total')).toBe(2);
  ask('pc-0', heavy(0));
  await reaches('running', 1);
});

test('B18 same-request-twice: a caller that disconnects does not end the digest of its other request', async () => {
  const [first, second] = [ask('pc-0', heavy(0)), ask('pc-0', heavy(0))];
  await reaches('running', 1);
  const other = ask('pc-0', heavy(1));
  await reaches('waiting', 1);
  first.leave();
  other.leave();
  await reaches('dropped_total', 1);
  expect(await metric('running')).toBe(1);
  second.leave();
  await reaches('running', 0);
});

test('B17 full-queue: the ninth waiting request of a key is refused, and another key is served', async () => {
  for (let n = 0; n < 9; n++) ask('pc-0', heavy(n));
  await reaches('waiting', 8);
  const refused = await ask('pc-0', heavy(9)).answer;
  expect(refused).toMatchObject({ status: 503, body: { code: 'relay_busy' } });
  expect(Number(refused.retryAfter)).toBeGreaterThanOrEqual(1);
  expect(await metric('refused_total')).toBe(1);
  expect(await ask('pc-1', short).answer).toMatchObject({ status: 200 });
});

test('B16 B17 full-queue: 32 requests run, 1,000 wait, and a further one is refused', async () => {
  for (const key of KEYS.slice(0, 125)) ask(key, heavy(0));
  await reaches('running', 1);
  for (const [n, key] of KEYS.slice(0, 32).entries()) ask(key, heavy(n + 1));
  await reaches('running', 32);
  const others = KEYS.slice(0, 125).flatMap((key, k) => Array.from({ length: 8 }, (_, n) => [key, 100 + k * 8 + n]));
  for (const [key, n] of others) ask(key as string, heavy(n as number));
  await reaches('waiting', 1000);
  expect(await metric('running')).toBe(32);
  expect(await ask('pc-139', short).answer).toMatchObject({ status: 503, body: { code: 'relay_busy' } });
});

test('B17 large-bodies: bodies of 32 MiB wait or run, and a further one is refused', async () => {
  const large = (n: number) => JSON.stringify(heavy(n)).padEnd(1024 * 1024, ' ');
  for (const [n, key] of KEYS.slice(0, 4).entries()) for (let i = 0; i < 8; i++) ask(key, large(8 * n + i));
  await reaches('waiting', 28);
  expect(await ask('pc-4', large(99)).answer).toMatchObject({ status: 503, body: { code: 'relay_busy' } });
  expect(await metric('running')).toBe(4);
});

test('B17 many-parts: 4,096 parts are answered, and 4,097 are refused', async () => {
  const parts = (n: number) => ({ table: 1, range: { after: null, upto: [300] }, parts: n });
  const most = Array.from({ length: 16 }, () => parts(256));
  const { status, body } = await ask('pc-0', { asks: most }).answer;
  expect([status, body.answers?.flat().length]).toEqual([200, 16 * 150]);
  expect(await ask('pc-0', { asks: [...most, parts(1)] }).answer).toMatchObject({
    status: 400,
    body: { code: 'request_invalid', params: { detail: 'asks: ask for 4097 parts, more than 4096' } },
  });
});
