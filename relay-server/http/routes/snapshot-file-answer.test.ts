import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { asTidemarkError } from '@tidemark/protocol/errors';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sendSnapshotFile } from './snapshot-file-answer.ts';

const CONTENT = Buffer.from('0123456789'.repeat(100_000));
const sha256 = createHash('sha256').update(CONTENT).digest('hex');
const etag = `"${sha256}"`;

let folder: string;
let server: Server;
let url: string;
beforeAll(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'tidemark-send-'));
  writeFileSync(path.join(folder, 'aaaa-all-5.sqlite'), CONTENT);
  server = createServer((request, response) => {
    const file = path.join(folder, request.url === '/gone' ? 'gone.sqlite' : 'aaaa-all-5.sqlite');
    const { signal } = new AbortController();
    sendSnapshotFile({ request, response, signal }, { file, bytes: CONTENT.length, sha256 }).catch((error: unknown) => {
      response.writeHead(500);
      response.end(asTidemarkError(error).code);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
  server.closeAllConnections();
  rmSync(folder, { recursive: true, force: true });
});

const get = async (headers: Record<string, string>, at = '/') => {
  const answer = await fetch(url + at, { headers });
  return { answer, body: Buffer.from(await answer.arrayBuffer()) };
};

test('sends a file with its SHA-256 as ETag and lets caches keep it indefinitely', async () => {
  const { answer, body } = await get({});
  expect(answer.status).toBe(200);
  expect(body.equals(CONTENT)).toBe(true);
  expect(Object.fromEntries(answer.headers)).toMatchObject({
    'content-type': 'application/octet-stream',
    'content-length': String(CONTENT.length),
    'accept-ranges': 'bytes',
    'cache-control': 'public, max-age=31536000, immutable',
    vary: 'Accept-Encoding, Authorization',
    etag,
  });
});

test.each([
  ['bytes=999990-', 999_990, 999_999],
  ['bytes=5-9', 5, 9],
  ['bytes=999990-2000000', 999_990, 999_999],
])('answers Range %s with that part', async (range, from, to) => {
  const { answer, body } = await get({ range, 'if-range': etag });
  expect(answer.status).toBe(206);
  expect(answer.headers.get('content-range')).toBe(`bytes ${from}-${to}/${CONTENT.length}`);
  expect(body.equals(CONTENT.subarray(from, to + 1))).toBe(true);
});

test('sends the complete file when If-Range names another one', async () => {
  const { answer, body } = await get({ range: 'bytes=5-', 'if-range': '"another"' });
  expect(answer.status).toBe(200);
  expect(body.length).toBe(CONTENT.length);
});

test('answers a range past the end with 416 and the file size', async () => {
  const { answer, body } = await get({ range: `bytes=${CONTENT.length}-` });
  expect(answer.status).toBe(416);
  expect(answer.headers.get('content-range')).toBe(`bytes */${CONTENT.length}`);
  expect(body.length).toBe(0);
});

test("answers snapshot_gone for a removed file, without the file's cache headers", async () => {
  const { answer, body } = await get({}, '/gone');
  expect(body.toString()).toBe('snapshot_gone');
  expect(answer.headers.get('cache-control')).toBeNull();
  expect(answer.headers.get('etag')).toBeNull();
});
