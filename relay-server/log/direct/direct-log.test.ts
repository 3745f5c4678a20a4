import type { SessionRequest } from '@tidemark/protocol/api';
import { Epoch, seq } from '@tidemark/protocol/cursor';
import { TidemarkError } from '@tidemark/protocol/errors';
import { beforeEach, expect, test, vi } from 'vitest';
import { after, type Moment } from '../../freshness/moment.ts';
import type { Ingested } from '../../ingest/writer-calls.ts';
import type { LogStore } from '../log-source.ts';
import { DirectLog } from './direct-log.ts';

const request: SessionRequest = { protocol: 1, source: { kind: 'postgres', id: '7/shop' }, version: 'test' };
const feed = (head: number): Ingested['feed'] => ({
  epoch: Epoch.parse('aaaaaaaa'),
  head: seq(head),
  horizon: seq(1),
  position: `position ${head}`,
  source: 'postgres 7/shop',
  committedAt: null,
  nextTableId: 4,
  basedAt: null,
  basedWhy: null,
});
const ALL = { publish: null, except: null, filtered: [] };
const bytes = () => new Uint8Array(1);

let head: number;
let log: DirectLog;
let now: Moment;
const times = (sampledMs: number | null = null) => ({ arrivedAt: now, sampledMs });
const pass = (ms: number) => {
  now = after(now, ms);
};
const begin = vi.fn<LogStore['begin']>(async () => ({ feed: feed(head), tables: [] }));
const append = vi.fn<LogStore['append']>(async () => ({ feed: feed(++head), current: false, scopes: [] }));
const onSession = vi.fn();
beforeEach(() => {
  vi.clearAllMocks();
  head = 5;
  now = { wallMs: 1_000_000, monotonicMs: 0 };
  log = new DirectLog({ store: { begin, append }, now: () => now, tables: ALL, onSession });
});

test('a session returns the position of the store', async () => {
  expect(await log.session({ ...request, base: { setBack: true } })).toMatchObject({
    head: 5,
    position: 'position 5',
    publish: null,
    nextTableId: 4,
  });
  expect(begin).toHaveBeenCalledWith('postgres 7/shop', { setBack: true });
  expect(onSession).toHaveBeenCalledTimes(1);
});

test('publish-except: a feed that would publish the tables that relay.yaml leaves out gets no session', async () => {
  const except = [{ name: 'audit_log', at: 'relay.yaml line 4' }];
  const filtered = [{ name: 'stock', at: 'relay.yaml line 6' }];
  const { session } = await log.session(request);
  const strict = new DirectLog({
    store: { begin, append },
    now: () => now,
    tables: { publish: null, except, filtered },
    onSession,
  });
  await expect(strict.session(request)).rejects.toMatchObject({ code: 'protocol_unsupported' });
  await expect(strict.session({ ...request, obeys: ['other'] })).rejects.toMatchObject({
    code: 'protocol_unsupported',
  });
  expect(begin).toHaveBeenCalledTimes(1);
  expect(await strict.session({ ...request, obeys: ['except'] })).toMatchObject({ publish: null, except, filtered });
  expect(await log.batch(session, 1, bytes(), times())).toEqual({ head: 6, position: 'position 6' });
});

test('appends batches in order and returns the position on disk', async () => {
  const { session } = await log.session(request);
  expect(await log.batch(session, 1, bytes(), times())).toEqual({ head: 6, position: 'position 6' });
  expect(await log.batch(session, 2, bytes(), times())).toEqual({ head: 7, position: 'position 7' });
});

test('appends the last batch only once when the feed repeats it', async () => {
  const { session } = await log.session(request);
  const first = await log.batch(session, 1, bytes(), times());
  expect(await log.batch(session, 1, bytes(), times())).toEqual(first);
  expect(append).toHaveBeenCalledTimes(1);
});

test.each([0, 2, 3])('rejects batch %d instead of 1 as out of order', async (number) => {
  const { session } = await log.session(request);
  await expect(log.batch(session, number, bytes(), times())).rejects.toMatchObject({ code: 'batch_out_of_order' });
  expect(append).not.toHaveBeenCalled();
});

test('rejects a batch that arrives while the previous one is being appended', async () => {
  const { session } = await log.session(request);
  const first = log.batch(session, 1, bytes(), times());
  await expect(log.batch(session, 2, bytes(), times())).rejects.toMatchObject({ code: 'batch_out_of_order' });
  expect(await first).toMatchObject({ head: 6 });
});

test('rejects a batch with session_unknown before the first session and after close', async () => {
  await expect(log.batch('x', 1, bytes(), times())).rejects.toMatchObject({ code: 'session_unknown' });
  const { session } = await log.session(request);
  await log.close();
  await expect(log.batch(session, 1, bytes(), times())).rejects.toMatchObject({ code: 'session_unknown' });
});

test('a new session supersedes the previous one', async () => {
  const first = await log.session(request);
  const second = await log.session(request);
  await expect(log.batch(first.session, 1, bytes(), times())).rejects.toMatchObject({ code: 'session_superseded' });
  expect(await log.batch(second.session, 1, bytes(), times())).toMatchObject({ head: 6 });
});

test('a failed batch ends its session', async () => {
  const { session } = await log.session(request);
  append.mockRejectedValueOnce(new TidemarkError('disk_full', { detail: 'writing' }));
  await expect(log.batch(session, 1, bytes(), times())).rejects.toMatchObject({ code: 'disk_full' });
  await expect(log.batch(session, 1, bytes(), times())).rejects.toMatchObject({ code: 'session_unknown' });
});

test('a failed batch does not end a session that has begun since', async () => {
  const first = await log.session(request);
  let fail: (error: Error) => void = () => undefined;
  append.mockImplementationOnce(() => new Promise((_, reject) => (fail = reject)));
  const failing = log.batch(first.session, 1, bytes(), times());
  const second = await log.session(request);
  fail(new TidemarkError('batch_invalid', { detail: 'x' }));
  await expect(failing).rejects.toMatchObject({ code: 'batch_invalid' });
  expect(await log.batch(second.session, 1, bytes(), times())).toMatchObject({ head: 6 });
});

/** The moments that the log passed to the store, as ms of the monotonic clock. */
const sampled = () => append.mock.calls.map(([, at]) => at.monotonicMs);

test('S12: a heartbeat counts from when the feed read the end of the log, relative to the previous answer', async () => {
  const { session } = await log.session(request);
  pass(60_000);
  // The feed read the end of the log 5 s after it received the answer to the session.
  await log.batch(session, 1, bytes(), times(5_000));
  pass(10_000);
  // It read the end 20 s before it received the answer to the first batch.
  await log.batch(session, 2, bytes(), times(-20_000));
  expect(sampled()).toEqual([5_000, 40_000]);
});

test('S12: a slow upload does not make a heartbeat newer', async () => {
  const { session } = await log.session(request);
  const at = times(0);
  pass(240_000);
  await log.batch(session, 1, bytes(), at);
  expect(sampled()).toEqual([0]);
});

test('S12: a heartbeat never counts from later than the arrival of its batch', async () => {
  const { session } = await log.session(request);
  pass(1_000);
  await log.batch(session, 1, bytes(), times(3_600_000));
  await log.batch(session, 2, bytes(), times());
  expect(sampled()).toEqual([1_000, 1_000]);
});
