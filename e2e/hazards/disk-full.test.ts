import { readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { RelayLink } from '@tidemark/master-feed/relay-link';
import { RelayStatus } from '@tidemark/protocol/api';
import { FaultProxy } from '@tidemark/testing/fault-proxy';
import { freePort } from '@tidemark/testing/postgres/embedded';
import { until } from '@tidemark/testing/processes';
import { SmallDisk } from '@tidemark/testing/small-disk';
import { batchOf, ITEM, position, TestRelay } from '@tidemark/testing/test-relay';
import { afterEach, expect, test } from 'vitest';

/** Replica and relay store are on a disk that fills up and is then enlarged. These tests need Linux. */

const cleanup: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of cleanup.splice(0).reverse()) await stop();
});

const AT = '2026-11-23T08:00:00.000000Z';
/** Returns text that does not compress, so that each row has the same size on disk and on the wire. */
const noise = (n: number) =>
  Array.from({ length: 20 }, (_, i) =>
    Math.abs(Math.sin(n * 31 + i))
      .toString(36)
      .slice(2),
  ).join('');

test('disk-full at the terminal: pull fails with disk_full, keeps complete transactions, and catches up on a larger disk', async () => {
  const relay = await TestRelay.start();
  cleanup.push(() => relay.stop());
  const disk = await SmallDisk.start(40);
  cleanup.push(() => disk.stop());
  const db = path.join(disk.folder, 'branch.sqlite');
  const pull = () =>
    disk.command('terminal', [
      ...['pull', '--relay', relay.url, '--feed', 'shop'],
      ...['--token-file', relay.tokenFile('terminal'), '--db', db],
    ]);
  const count = async () => {
    const { said } = await disk.run(
      `'${process.execPath}' -e "const d=new(require('better-sqlite3'))('${db}',{readonly:true});console.log(d.prepare('SELECT count(*)||char(32)||max(id) FROM item').pluck().get())"`,
    );
    return said.trim();
  };
  await relay.base(100);
  const first = await pull();
  expect(first).toMatchObject({ code: 0 });
  await disk.resize(2);
  for (let t = 0; t < 8; t++)
    await relay.commit(
      'i',
      Array.from({ length: 2000 }, (_, i) => [1000 + t * 2000 + i, noise(t * 2000 + i)]),
    );
  const full = await pull();
  expect(full.said).toContain('disk_full: ');
  expect(full.code).toBe(1);
  const [rows, last] = (await count()).split(' ').map(Number);
  // Each transaction inserts 2000 rows, so any other multiple is part of a transaction.
  expect(((rows ?? 0) - 100) % 2000).toBe(0);
  expect(rows === 100 || ((last ?? 0) - 999) % 2000 === 0).toBe(true);
  await disk.resize(80);
  expect(await pull()).toMatchObject({ code: 0 });
  expect(await count()).toBe('16100 16999');
});

test('disk-full during a copy: pull fails with disk_full and leaves no file, and the next pull completes once there is space', async () => {
  const relay = await TestRelay.start();
  cleanup.push(() => relay.stop());
  const faultProxy = await FaultProxy.start(relay.url);
  cleanup.push(() => faultProxy.stop());
  const disk = await SmallDisk.start(60);
  cleanup.push(() => disk.stop());
  const db = path.join(disk.folder, 'branch.sqlite');
  const pullArgs = (file: string) => [
    ...['pull', '--relay', faultProxy.url, '--feed', 'shop', '--token-file', relay.tokenFile('terminal'), '--db', file],
  ];
  const pull = (file = db) => disk.command('terminal', pullArgs(file));
  const files = async () => (await disk.run(`ls ${disk.folder}`)).said;
  await relay.base(15_000, noise);
  // This pull makes the relay build its snapshot, and proves that the disk has enough space for a copy.
  expect(await pull(path.join(disk.folder, 'first.sqlite'))).toMatchObject({ code: 0 });
  await disk.run(`rm ${disk.folder}/first.sqlite*`);
  faultProxy.trouble = { kind: 'slow', bytesPerSecond: 1_000_000 };
  // Another program fills the disk as soon as the download has begun.
  await disk.run(
    `(until ls ${disk.folder}/*.download-* >/dev/null 2>&1; do :; done; dd if=/dev/zero of=${disk.folder}/filler bs=64k) >/dev/null 2>&1 &`,
  );
  const full = await pull();
  expect(full.said).toContain('disk_full: ');
  expect(full.code).toBe(1);
  expect(await files()).not.toMatch(/\.(snapshot|download)/);
  faultProxy.trouble = { kind: 'none' };
  await disk.run(`rm ${disk.folder}/filler`);
  expect(await pull()).toMatchObject({ code: 0 });
  expect(await files()).not.toMatch(/\.(snapshot|download)/);
});

test('disk-full after a killed pull: the next pull removes the copy that fills the disk, and completes', async () => {
  const relay = await TestRelay.start();
  cleanup.push(() => relay.stop());
  const disk = await SmallDisk.start(40);
  cleanup.push(() => disk.stop());
  const db = path.join(disk.folder, 'branch.sqlite');
  const pull = () =>
    disk.command('terminal', [
      ...['pull', '--relay', relay.url, '--feed', 'shop'],
      ...['--token-file', relay.tokenFile('terminal'), '--db', db],
    ]);
  await relay.base(100);
  expect(await pull()).toMatchObject({ code: 0 });
  await relay.commit('u', [[1, 'changed']]);
  const fill = (file: string) => disk.run(`dd if=/dev/zero of=${file} bs=4k 2>/dev/null; df ${disk.folder}`);
  expect((await fill(`${disk.folder}/filler`)).said).toContain('100%');
  expect((await pull()).said).toContain('disk_full: ');
  await disk.run(`rm ${disk.folder}/filler`);
  expect((await fill(`${db}.snapshot`)).said).toContain('100%');
  expect(await pull()).toMatchObject({ code: 0 });
  expect((await disk.run(`ls ${disk.folder}`)).said).not.toContain('.snapshot');
});

test('disk-full at the relay: the relay rejects the batch with disk_full, loses no transaction, and continues on a larger disk', async () => {
  const disk = await SmallDisk.start(3);
  cleanup.push(() => disk.stop());
  const port = await freePort();
  const config = path.join(disk.folder, 'relay.yaml');
  const outside = path.join(os.tmpdir(), `tidemark-relay-${port}.yaml`);
  writeFileSync(outside, `listen: 127.0.0.1:${port}\ndata: ${disk.folder}/data\nfeeds:\n  shop: {}\n`);
  await disk.run(`mv ${outside} ${config}`);
  const tokens: Record<string, string> = {};
  for (const role of ['feed', 'terminal']) {
    const added = await disk.command('relay', [
      ...['token', 'add', '--config', config],
      ...['--role', role, '--feed', 'shop', '--name', role],
    ]);
    tokens[role] = added.said.trim();
  }
  const url = `http://127.0.0.1:${port}`;
  const { said } = await disk.run(
    `'${process.execPath}' '${path.resolve(import.meta.dirname, '../../relay-server/main.ts')}' serve --config ${config} >/dev/null 2>&1 & echo $!`,
  );
  const pid = Number(said.trim());
  cleanup.push(async () => {
    process.kill(pid, 'SIGTERM');
    await until(
      async () => !alive(pid),
      () => 'the relay did not stop',
    );
  });
  await until(
    async () => (await fetch(`${url}/healthz`).catch(() => null))?.ok,
    () => 'the relay did not start',
  );
  const link = new RelayLink(url, 'shop', tokens.feed ?? '');
  const openSession = async () =>
    link.sender((await link.session({ protocol: 1, source: { kind: 'postgres', id: 't' }, version: 't' })).session);
  let send = await openSession();
  await send(
    batchOf([
      ['s', 1, ITEM],
      ['B', position(1), AT, 'test'],
      ['i', 1, [[1, 'one']]],
      ['c', 1],
    ]),
  );
  const transaction = (n: number) =>
    batchOf([
      ['s', 1, ITEM],
      ['b', position(n), AT],
      ['i', 1, Array.from({ length: 2000 }, (_, i) => [n * 10_000 + i, noise(n * 2000 + i)])],
      ['c', 2000],
    ]);
  let sent = 1;
  let refused: unknown = null;
  while (refused === null && sent < 40) {
    try {
      await send(transaction(sent + 1));
      sent++;
    } catch (error) {
      refused = error;
    }
  }
  expect(refused).toMatchObject({ code: 'disk_full' });
  const head = async () => {
    const answer = await fetch(`${url}/v1/feeds/shop/status`, {
      headers: { authorization: `Bearer ${tokens.terminal}` },
    });
    return RelayStatus.parse(await answer.json()).head?.seq;
  };
  expect(await head()).toBe(sent);
  await disk.resize(60);
  send = await openSession();
  await send(transaction(sent + 1));
  expect(await head()).toBe(sent + 1);
});

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    // A zombie counts as ended: the shell that started it reaps it only when the shell itself ends.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};
