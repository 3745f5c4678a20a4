import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import type { SnapshotManifest } from '@tidemark/protocol/api';
import { run } from '@tidemark/testing/processes';
import { SmallDisk } from '@tidemark/testing/small-disk';
import Database from 'better-sqlite3';
import { describe, expect, test } from 'vitest';
import { args, database, faultProxy, folder, pull, relay, rows, useTerminal } from './terminal-lab.ts';

/** The relay serves snapshots with a correct hash that the terminal must not install. */

useTerminal();

/** Replaces the relay's snapshot, in each coding, with the result of `change`. */
async function replaceCopy(change: (copy: Buffer) => { copy: Buffer; coded: Buffer }): Promise<void> {
  // The first pull makes the relay build the snapshot.
  expect(await run('terminal', args('pull', { db: path.join(folder, 'first.sqlite') }))).toMatchObject({ code: 0 });
  await relay.restart('{}', Date.now(), () => {
    const snapshots = path.join(relay.folder, 'relay-data', 'shop', 'snapshots');
    const name = readdirSync(snapshots).find((each) => each.endsWith('.json')) ?? '';
    const file = path.join(snapshots, name.replace(/\.json$/, ''));
    const manifest = JSON.parse(readFileSync(`${file}.json`, 'utf8')) as SnapshotManifest;
    const { copy, coded } = change(readFileSync(file));
    const forms = {
      identity: { suffix: '', bytes: coded },
      gzip: { suffix: '.gzip', bytes: gzipSync(coded, { level: 1 }) },
      zstd: { suffix: '.zstd', bytes: zstdCompressSync(coded) },
    };
    const codings = manifest.codings.map(({ coding }) => {
      const { suffix, bytes } = forms[coding];
      writeFileSync(file + suffix, bytes);
      return { coding, bytes: bytes.length, sha256: sha256Of(bytes) };
    });
    const replaced = { ...manifest, bytes: copy.length, sha256: sha256Of(copy), codings };
    writeFileSync(`${file}.json`, JSON.stringify(replaced));
  });
}

const sha256Of = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

/** Returns the names of snapshot and download files in the replica's folder. */
const leftovers = () => readdirSync(folder).filter((name) => /^branch\.sqlite\.(snapshot|download)/.test(name));

/** Overwrites a page in the middle of the snapshot's rows. */
function withBrokenPage(copy: Buffer): { copy: Buffer; coded: Buffer } {
  const broken = Buffer.from(copy);
  const page = copy.readUInt16BE(16);
  broken.fill(0xa5, Math.floor(copy.length / page / 2) * page, (Math.floor(copy.length / page / 2) + 1) * page);
  return { copy: broken, coded: broken };
}

describe('a damaged snapshot', () => {
  test('copy-with-broken-page: the first pull rejects the snapshot and leaves no file', async () => {
    await relay.base(5000, (n) => `item ${Math.sin(n)}`);
    await replaceCopy(withBrokenPage);
    expect(await pullDirectly()).toMatchObject({ outcome: 'failed', fault: { code: 'snapshot_corrupt' } });
    expect(leftovers()).toEqual([]);
  });

  test('copy-with-broken-page: the terminal rejects the snapshot and keeps its old data readable', async () => {
    await relay.base(5000, (n) => `item ${Math.sin(n)}`);
    expect((await pullDirectly()).outcome).toBe('done');
    const before = rows();
    // Give the replica another epoch, so that the terminal needs a snapshot.
    const db = new Database(database());
    db.exec("UPDATE tidemark_meta SET epoch = 'zzzzzzzz'");
    db.close();
    await replaceCopy(withBrokenPage);
    expect(await pullDirectly()).toMatchObject({ outcome: 'failed', fault: { code: 'snapshot_corrupt' } });
    expect(rows()).toEqual(before);
    expect(leftovers()).toEqual([]);
  });

  test('copy-that-decodes-to-more: the terminal stops decoding at the size in the manifest, before the disk is full', async () => {
    await relay.base(500);
    // The 128 MiB of zeros after the snapshot compress to a few kB with zstd. The disk has 40 MB.
    await replaceCopy((copy) => ({ copy, coded: Buffer.concat([copy, Buffer.alloc(128 * 1024 * 1024)]) }));
    const disk = await SmallDisk.start(40);
    try {
      const db = path.join(disk.folder, 'branch.sqlite');
      const refused = await disk.command('terminal', args('pull', { db, relay: relay.url }));
      expect(refused.said).toContain('snapshot_corrupt: ');
      expect(refused.code).toBe(1);
      expect((await disk.run(`ls ${disk.folder}`)).said).not.toMatch(/snapshot|download/);
    } finally {
      await disk.stop();
    }
  });
});

/** Pulls directly from the relay, because the proxy still connects to the relay from before the restart. */
function pullDirectly() {
  faultProxy.forwardTo(relay.url);
  return pull();
}
