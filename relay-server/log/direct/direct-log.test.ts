import type { SessionRequest } from '@tidemark/protocol/api';
import { Epoch, seq } from '@tidemark/protocol/cursor';
import { TidemarkError } from '@tidemark/protocol/errors';
import { beforeEach, expect, test, vi } from 'vitest';
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
const begin = vi.fn<LogStore['begin']>(async () => ({ feed: feed(head), tables: [] }));
const append = vi.fn<LogStore['append']>(async () => ({ feed: feed(++head), heartbeat: null, scopes: [] }));
const onSession = vi.fn();
beforeEach(() => {
  vi.clearAllMocks();
  head = 5;
  log = new DirectLog({ store: { begin, append }, tables: ALL, onSession });
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
  const strict = new DirectLog({ store: { begin, append }, tables: { publish: null, except, filtered }, onSession });
  await expect(strict.session(request)).rejects.toMatchObject({ code: 'protocol_unsupported' });
  await expect(strict.session({ ...request, obeys: ['other'] })).rejects.toMatchObject({
    code: 'protocol_unsupported',
  });
  expect(begin).toHaveBeenCalledTimes(1);
  expect(await strict.session({ ...request, obeys: ['except'] })).toMatchObject({ publish: null, except, filtered });
  expect(await log.batch(session, 1, bytes())).toEqual({ head: 6, position: 'position 6' });
});

test('appends batches in order and returns the position on disk', async () => {
  const { session } = await log.session(request);
  expect(await log.batch(session, 1, bytes())).toEqual({ head: 6, position: 'position 6' });
  expect(await log.batch(session, 2, bytes())).toEqual({ head: 7, position: 'position 7' });
});

test('appends the last batch only once when the feed repeats it', async () => {
  const { session } = await log.session(request);
  const first = await log.batch(session, 1, bytes());
  expect(await log.batch(session, 1, bytes())).toEqual(first);
  expect(append).toHaveBeenCalledTimes(1);
});

test.each([0, 2, 3])('rejects batch %d instead of 1 as out of order', async (number) => {
  const { session } = await log.session(request);
  await expect(log.batch(session, number, bytes())).rejects.toMatchObject({ code: 'batch_out_of_order' });
  expect(append).not.toHaveBeenCalled();
});

test('rejects a batch that arrives while the previous one is being appended', async () => {
  const { session } = await log.session(request);
  const first = log.batch(session, 1, bytes());
  await expect(log.batch(session, 2, bytes())).rejects.toMatchObject({ code: 'batch_out_of_order' });
  expect(await first).toMatchObject({ head: 6 });
});

test('rejects a batch with session_unknown before the first session and after close', async () => {
  await expect(log.batch('x', 1, bytes())).rejects.toMatchObject({ code: 'session_unknown' });
  const { session } = await log.session(request);
  await log.close();
  await expect(log.batch(session, 1, bytes())).rejects.toMatchObject({ code: 'session_unknown' });
});

test('a new session supersedes the previous one', async () => {
  const first = await log.session(request);
  const second = await log.session(request);
  await expect(log.batch(first.session, 1, bytes())).rejects.toMatchObject({ code: 'session_superseded' });
  expect(await log.batch(second.session, 1, bytes())).toMatchObject({ head: 6 });
});

test('a failed batch ends its session', async () => {
  const { session } = await log.session(request);
  append.mockRejectedValueOnce(new TidemarkError('disk_full', { detail: 'writing' }));
  await expect(log.batch(session, 1, bytes())).rejects.toMatchObject({ code: 'disk_full' });
  await expect(log.batch(session, 1, bytes())).rejects.toMatchObject({ code: 'session_unknown' });
});

test('a failed batch does not end a session that has begun since', async () => {
  const first = await log.session(request);
  let fail: (error: Error) => void = () => undefined;
  append.mockImplementationOnce(() => new Promise((_, reject) => (fail = reject)));
  const failing = log.batch(first.session, 1, bytes());
  const second = await log.session(request);
  fail(new TidemarkError('batch_invalid', { detail: 'x' }));
  await expect(failing).rejects.toMatchObject({ code: 'batch_invalid' });
  expect(await log.batch(second.session, 1, bytes())).toMatchObject({ head: 6 });
});
