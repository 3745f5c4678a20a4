import { readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { TidemarkError } from '@tidemark/protocol/errors';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import { EPOCH, schemaOf, TestMirror } from '@tidemark/testing/test-mirror';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FairQueue } from '../threads/fair-queue.ts';
import { FeedQueue } from '../threads/feed-queue.ts';
import { KEPT_MAX, Snapshots } from './snapshots.ts';

/** Real snapshots of one feed, on a disk whose room the test determines. */
class Lab {
  readonly folder = temporaryFolder('snapshots');
  readonly mirror = new TestMirror(this.folder);
  /** Space for snapshots, in bytes, including the kept ones. */
  diskBytes = 2 ** 33;
  nowMs = 10_000_000;
  failure: TidemarkError | null = null;
  snapshots: Snapshots;

  constructor() {
    this.mirror.declare(1, schemaOf('item', { id: 'integer', text: 'text' }, ['id']));
    const rows = Array.from({ length: 8000 }, (_, id) => [id, `${Math.random()}`.repeat(10)]);
    this.mirror.commit(['i', 1, rows]);
    this.snapshots = this.open();
  }

  open(): Snapshots {
    return new Snapshots(this.folder, {
      now: () => this.nowMs++,
      mirror: this.mirror.db.name,
      queue: new FeedQueue(new FairQueue(), 'shop'),
      source: (scopes) => ({
        mirror: this.mirror.db.name,
        feed: 'shop',
        scopes,
        cursorSql: `SELECT '${EPOCH}' AS epoch, seq, '2026-11-23T08:00:00.000000Z' AS committed_at FROM mirror.feed`,
        tables: {},
      }),
      onFailure: (_, error) => {
        this.failure = error;
      },
      roomBytes: () => this.diskBytes - this.usedBytes(),
    });
  }

  /** Requests a snapshot until it is ready or its build has failed, and returns the code of the failure. */
  async build(set: string): Promise<string | null> {
    this.failure = null;
    for (;;) {
      try {
        this.snapshots.current(set, EPOCH, 0, 'key', () => 0);
        return null;
      } catch {
        if (this.failure) return (this.failure as TidemarkError).code;
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  }

  usedBytes(): number {
    const folder = path.join(this.folder, 'snapshots');
    return this.files().reduce((sum, file) => sum + statSync(path.join(folder, file)).size, 0);
  }

  files(): string[] {
    return readdirSync(path.join(this.folder, 'snapshots'));
  }
}

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(() => lab.snapshots.close());

test('B15 full-disk: a build without room fails alone, until a snapshot that nobody downloads makes room', async () => {
  expect(await lab.build('a')).toBeNull();
  const kept = lab.files();
  lab.diskBytes = lab.usedBytes() * 1.5;
  await lab.snapshots.downloading('a', EPOCH, lab.mirror.head, async () => {
    expect(await lab.build('b')).toBe('disk_full');
    expect(lab.files()).toEqual(kept);
    expect(await lab.build('a')).toBeNull();
  });
  expect(await lab.build('b')).toBeNull();
  expect(lab.files().some((file) => file.includes('-a-'))).toBe(false);
});

test('B15 disk-fills-during-build: a build ends with disk_full when it exceeds its room', async () => {
  lab.mirror.commit(['i', 1, Array.from({ length: 8000 }, (_, n) => [10_000 + n, `${Math.random()}`.repeat(20)])]);
  lab.diskBytes = 1 << 20;
  expect(await lab.build('a')).toBe('disk_full');
  expect(lab.files()).toEqual([]);
  lab.diskBytes = 2 ** 33;
  expect(await lab.build('a')).toBeNull();
});

test('B14 wide-sets: the least recently requested snapshot is removed first, never one that is being downloaded', async () => {
  expect(await lab.build('a')).toBeNull();
  copyTo(Array.from({ length: KEPT_MAX - 1 }, (_, n) => `set${n}`));
  await lab.snapshots.close();
  lab.snapshots = lab.open();
  const sets = () => new Set(lab.files().map((file) => file.split('-')[1]));
  await lab.snapshots.downloading('set0', EPOCH, lab.mirror.head, async () => {
    expect(await lab.build('b')).toBeNull();
    expect(sets().size).toBe(KEPT_MAX);
    expect([sets().has('set0'), sets().has('set1'), sets().has('set2')]).toEqual([true, false, true]);
  });
});

/** Copies the snapshot of set a to other sets, the first one least recently requested. */
function copyTo(sets: string[]): void {
  const folder = path.join(lab.folder, 'snapshots');
  for (const file of lab.files())
    for (const [n, set] of sets.entries()) {
      const copy = path.join(folder, file.replace('-a-', `-${set}-`));
      const content = readFileSync(path.join(folder, file));
      writeFileSync(
        copy,
        file.endsWith('.json') ? JSON.stringify({ ...JSON.parse(content.toString()), scopes: set }) : content,
      );
      utimesSync(copy, n + 1, n + 1);
    }
}
