import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import type { SnapshotManifest } from '@tidemark/protocol/api';
import { run } from '@tidemark/testing/processes';
import { SmallDisk } from '@tidemark/testing/small-disk';
import Database from 'better-sqlite3';
import { describe, expect, test } from 'vitest';
import { args, database, folder, pull, relay, rows, useTerminal, way } from './terminal-lab.ts';

/** Copies that the relay serves with a correct hash, but that the terminal must not install. */

useTerminal();

/** Replaces the copy at the relay, in each coding, by the result of `change`. */
async function replaceCopy(change: (copy: Buffer) => { copy: Buffer; coded: Buffer }): Promise<void> {
  // The first pull makes the relay build it.
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

/** Files of the replica other than itself and its lock. */
const leftovers = () => readdirSync(folder).filter((name) => /^branch\.sqlite\.(snapshot|download)/.test(name));

/** Overwrites a page in the middle of the copy's rows. */
function withBrokenPage(copy: Buffer): { copy: Buffer; coded: Buffer } {
  const broken = Buffer.from(copy);
  const page = copy.readUInt16BE(16);
  broken.fill(0xa5, Math.floor(copy.length / page / 2) * page, (Math.floor(copy.length / page / 2) + 1) * page);
  return { copy: broken, coded: broken };
}

describe('a copy of the relay', () => {
  test('copy-with-broken-page: is refused at the first pull, and leaves no file behind', async () => {
    await relay.base(5000, (n) => `item ${Math.sin(n)}`);
    await replaceCopy(withBrokenPage);
    expect(await pullDirectly()).toMatchObject({ outcome: 'failed', fault: { code: 'snapshot_corrupt' } });
    expect(leftovers()).toEqual([]);
  });

  test('copy-with-broken-page: is refused in place of old data, which stays readable', async () => {
    await relay.base(5000, (n) => `item ${Math.sin(n)}`);
    expect((await pullDirectly()).outcome).toBe('done');
    const before = rows();
    // Another epoch: the terminal needs a copy.
    const db = new Database(database());
    db.exec("UPDATE tidemark_meta SET epoch = 'zzzzzzzz'");
    db.close();
    await replaceCopy(withBrokenPage);
    expect(await pullDirectly()).toMatchObject({ outcome: 'failed', fault: { code: 'snapshot_corrupt' } });
    expect(rows()).toEqual(before);
    expect(leftovers()).toEqual([]);
  });

  test('copy-that-decodes-to-more: is refused at the size that its manifest names, before it fills the disk', async () => {
    await relay.base(500);
    // 128 MiB of zeros behind the copy are a few kB of zstd. The disk has 40 MB.
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

/** A pull from the relay itself: the proxy leads to the one before the restart. */
function pullDirectly() {
  way.leadTo(relay.url);
  return pull();
}
