import path from 'node:path';
import { buildSnapshot } from '@tidemark/table-store/snapshot';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import { EPOCH, schemaOf, TestMirror } from '@tidemark/testing/test-mirror';
import { afterEach, expect, test } from 'vitest';
import { WorkerThread } from '../threads/worker-thread.ts';
import { DIGEST_CALLS } from './digest-calls.ts';

/** The real digest thread on a real snapshot. */

const thread = new WorkerThread({
  module: new URL('./digest-worker.ts', import.meta.url),
  name: 'the digest thread',
  methods: DIGEST_CALLS,
});
afterEach(() => thread.end());

const everything = { after: null, upto: null };
const heavy = { asks: Array.from({ length: 256 }, () => ({ table: 1, range: everything, parts: 16 })) };
const short = { asks: [{ table: 1, range: { after: null, upto: [10] }, parts: 1 }] };

/** Builds a snapshot of 20,000 rows, so that the heavy digests read five million. */
function snapshot(): string {
  const folder = temporaryFolder('digests');
  const mirror = new TestMirror(folder);
  mirror.declare(1, schemaOf('item', { id: 'integer', text: 'text' }, ['id']));
  mirror.commit(['i', 1, Array.from({ length: 20_000 }, (_, id) => [id, `item ${id}`])]);
  const file = path.join(folder, 'snapshot.sqlite');
  const cursorSql = `SELECT '${EPOCH}' AS epoch, seq, '2026-11-23T08:00:00.000000Z' AS committed_at FROM mirror.feed`;
  const source = { mirror: mirror.db.name, feed: 'shop', scopes: 'all', cursorSql };
  const item = { columns: ['id', 'text'], where: '1', params: [], indexes: [] };
  buildSnapshot({ ...source, tables: { item } }, file, 2 ** 30);
  return file;
}

test('B16 B18 long-digest: a short call overtakes a long one, which ends at its next step when it is cancelled', async () => {
  const file = snapshot();
  const call = (id: number, asks: object) =>
    thread.call('answer', { id, kind: 'digests', file, body: Buffer.from(JSON.stringify(asks)), coding: 'identity' });
  let settled = false;
  const long = call(1, heavy).finally(() => {
    settled = true;
  });
  long.catch(() => undefined);
  const { bytes } = await call(2, short);
  expect(JSON.parse(Buffer.from(bytes).toString())).toMatchObject({ answers: [[{ upto: [10], rows: 11 }]] });
  expect(settled).toBe(false);
  await thread.call('cancel', { id: 1 });
  await expect(long).rejects.toMatchObject({ code: 'cancelled' });
});
