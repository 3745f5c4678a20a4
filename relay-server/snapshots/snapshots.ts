import { statSync } from 'node:fs';
import type { SnapshotManifest } from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { SnapshotSource } from '@tidemark/table-store/snapshot';
import { BuilderThread } from '../threads/builder-thread.ts';
import type { FeedQueue } from '../threads/feed-queue.ts';
import { RetryLater } from '../threads/retry-later.ts';
import { SNAPSHOT_CALLS } from './snapshot-calls.ts';
import { type KeptSnapshot, nameOf, type SnapshotFile, SnapshotFolder, sizeOf } from './snapshot-folder.ts';

/**
 * Manages the snapshots of one feed. They are built on demand, one at a time, and reused for every terminal with the
 * same set of scopes. A snapshot is rebuilt when the log after it has grown, and removed after a day without requests.
 *
 * Their number and size are bounded, and a build leaves a part of the disk free (B14 and B15 in
 * docs/protocol.md). To make room, the least recently requested snapshot is removed first. A snapshot that is being
 * downloaded is never removed.
 */

/** A snapshot is rebuilt when the log after it exceeds this fraction of the snapshot's download size. */
const RENEW_AT = 0.25;
/** A snapshot is removed after this time without requests, in ms. */
const UNUSED_MS = 24 * 3_600_000;
/** Upper bound on the number of kept snapshots. */
export const KEPT_MAX = 100;
/**
 * Upper bound on the size of the kept snapshots: this many bytes, or this multiple of the size of the feed's database if
 * that is larger. All three forms of one snapshot fit, even if they cannot be compressed.
 */
const KEPT_BYTES = 1 << 30;
const KEPT_DATABASES = 4;
/** Least space for a build whose size is not known yet, in bytes. */
const LEAST_BYTES = 1 << 20;

interface SnapshotsDeps {
  now: () => number;
  /** Path of the feed's database. */
  mirror: string;
  queue: FeedQueue;
  /** Returns the source of a set's snapshot. */
  source: (set: string) => SnapshotSource;
  /** Called when a build fails. The next request for the set starts a new one. */
  onFailure: (set: string, error: TidemarkError) => void;
  /** Returns the space that builds may use, in bytes. By default, the free space beyond the reserve. */
  roomBytes?: () => number;
}

export class Snapshots {
  readonly #folder: SnapshotFolder;
  readonly #deps: SnapshotsDeps;
  readonly #ready = new Map<string, SnapshotManifest>();
  /** By set, the space that its next build needs, in bytes: the size of the last one, or more than it had room for. */
  readonly #needs = new Map<string, number>();
  readonly #thread = new BuilderThread({
    module: new URL('./snapshot-worker.ts', import.meta.url),
    name: 'the snapshot thread',
    methods: SNAPSHOT_CALLS,
  });
  #closed = false;

  constructor(feedFolder: string, deps: SnapshotsDeps) {
    this.#folder = new SnapshotFolder(feedFolder, deps.now);
    this.#deps = deps;
    for (const { manifest } of this.#folder.kept()) {
      const other = this.#ready.get(manifest.scopes);
      if (!other || other.cursor.seq < manifest.cursor.seq) this.#ready.set(manifest.scopes, manifest);
    }
    for (const [set, manifest] of this.#ready) this.#needs.set(set, sizeOf(manifest));
  }

  /** Returns the manifest of a set's snapshot, whatever its age, or null if none is ready. */
  ready(set: string, epoch: string): SnapshotManifest | null {
    const ready = this.#ready.get(set);
    return ready?.cursor.epoch === epoch ? ready : null;
  }

  /**
   * Returns the snapshot to download now, at the seq `from` or later. `logBytesSince` returns the size of the log after
   * a seq. Throws snapshot_building if there is none yet, and relay_busy if the queue of builds is full.
   */
  current(
    set: string,
    epoch: string,
    from: number,
    key: string,
    logBytesSince: (seq: number) => number,
  ): SnapshotManifest {
    const ready = this.ready(set, epoch);
    if (ready && ready.cursor.seq >= from) {
      const download = ready.codings.find(({ coding }) => coding === 'zstd')?.bytes ?? ready.bytes;
      const since = logBytesSince(ready.cursor.seq);
      if (since > download * RENEW_AT) this.#want(set, key);
      // Serve the old snapshot until the new one is ready, unless the log after it is larger than the snapshot.
      if (since <= ready.bytes) return ready;
    }
    const accepted = this.#want(set, key);
    throw new RetryLater(accepted ? 'snapshot_building' : 'relay_busy', this.#deps.queue.retryAfterS(set, key));
  }

  /** Returns the file of a snapshot in a coding, or null if it no longer exists. */
  file(set: string, epoch: string, seq: number, coding: 'identity' | 'gzip' | 'zstd'): SnapshotFile | null {
    return this.#folder.file(nameOf(set, epoch, seq), coding);
  }

  /** Runs a download of a snapshot, which is not removed meanwhile. */
  async downloading<T>(set: string, epoch: string, seq: number, download: () => Promise<T>): Promise<T> {
    try {
      return await this.#folder.reading(nameOf(set, epoch, seq), download);
    } finally {
      // A newer snapshot of the set may have been built during the download.
      if (!this.#closed && this.#isOld(set, seq)) this.#removeUnneeded();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#deps.queue.close();
    await this.#thread.end();
  }

  /** Requests a build. Returns false if the queue is full. */
  #want(set: string, key: string): boolean {
    return this.#deps.queue.ask(set, key, () => this.#renew(set));
  }

  /** Builds the snapshot of a set and replaces the old one. */
  async #renew(set: string): Promise<void> {
    try {
      const manifest = await this.#build(set);
      this.#ready.set(set, manifest);
      this.#needs.set(set, sizeOf(manifest));
      this.#removeUnneeded();
    } catch (error) {
      if (!this.#closed)
        this.#deps.onFailure(
          set,
          error instanceof TidemarkError ? error : new TidemarkError('internal', { detail: String(error) }, error),
        );
    }
  }

  async #build(set: string): Promise<SnapshotManifest> {
    const source = this.#deps.source(set);
    const maxBytes = this.#makeRoom(set);
    const file = this.#folder.building();
    try {
      const manifest = await this.#thread.run({ source, file, maxBytes });
      this.#folder.admit(file, manifest);
      return manifest;
    } catch (error) {
      this.#folder.abandon();
      if (error instanceof TidemarkError && error.code === 'disk_full') this.#needs.set(set, maxBytes + LEAST_BYTES);
      throw error;
    }
  }

  /**
   * Removes snapshots until a build of this set has room, and returns how large it may become, in bytes. Throws
   * disk_full, and relay_busy if the snapshots that are being downloaded leave no room.
   */
  #makeRoom(set: string): number {
    const needs = Math.max(this.#needs.get(set) ?? 0, LEAST_BYTES);
    const kept = this.#folder.kept();
    this.#removeExcess(kept, KEPT_MAX - 1);
    const roomBytes = () => this.#deps.roomBytes?.() ?? this.#folder.roomBytes();
    for (const item of [...kept]) {
      if (roomBytes() >= needs) break;
      this.#remove(item, kept);
    }
    if (kept.length >= KEPT_MAX || totalOf(kept) > this.#mostBytes()) throw new TidemarkError('relay_busy');
    const room = roomBytes();
    if (room < needs)
      throw new TidemarkError('disk_full', {
        detail: `a snapshot needs ${needs} bytes, and may use ${Math.max(0, room)}`,
      });
    return room;
  }

  /** Removes replaced and unused snapshots, and then the least recently requested ones beyond the bounds. */
  #removeUnneeded(): void {
    const kept = this.#folder.kept();
    for (const item of [...kept]) {
      const { scopes, cursor } = item.manifest;
      if (this.#isOld(scopes, cursor.seq) || this.#deps.now() - item.usedAtMs >= UNUSED_MS) this.#remove(item, kept);
    }
    this.#removeExcess(kept, KEPT_MAX);
  }

  #removeExcess(kept: KeptSnapshot[], most: number): void {
    // The newest one stays: a client is about to download it.
    for (const item of kept.slice(0, -1)) {
      if (kept.length <= most && totalOf(kept) <= this.#mostBytes()) return;
      this.#remove(item, kept);
    }
  }

  /** Removes a snapshot from the disk and from `kept`, unless it is being downloaded. */
  #remove(item: KeptSnapshot, kept: KeptSnapshot[]): void {
    if (this.#folder.isRead(item.name)) return;
    this.#folder.remove(item.name);
    kept.splice(kept.indexOf(item), 1);
    const { scopes, cursor } = item.manifest;
    const ready = this.#ready.get(scopes);
    if (ready?.cursor.seq === cursor.seq && ready.cursor.epoch === cursor.epoch) this.#ready.delete(scopes);
  }

  #mostBytes(): number {
    return Math.max(KEPT_BYTES, KEPT_DATABASES * statSync(this.#deps.mirror).size);
  }

  #isOld(set: string, seq: number): boolean {
    const ready = this.#ready.get(set);
    return ready !== undefined && ready.cursor.seq !== seq;
  }
}

const totalOf = (kept: readonly KeptSnapshot[]) => kept.reduce((sum, { bytes }) => sum + bytes, 0);
