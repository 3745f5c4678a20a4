import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { SnapshotManifest } from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { SnapshotSource } from '@tidemark/table-store/snapshot';
import { BuilderThread } from '../threads/builder-thread.ts';
import { FairQueue } from '../threads/fair-queue.ts';
import { SNAPSHOT_CALLS } from './snapshot-calls.ts';

/**
 * Manages the snapshot files of one feed. They are built on demand, one at a time, and reused for every terminal with
 * the same set of scopes. A snapshot is rebuilt when the log after it has grown, and removed after a day without
 * requests.
 *
 * The manifest, a `.json` file, is written last: a snapshot without one is incomplete. Removing a snapshot does not
 * interrupt downloads, which keep the file open.
 */

/** A snapshot is rebuilt when the log after it exceeds this fraction of the snapshot's download size. */
const RENEW_AT = 0.25;
/** A snapshot is removed after this time without requests, in ms. */
const UNUSED_MS = 24 * 3_600_000;

const SUFFIXES = { identity: '', gzip: '.gzip', zstd: '.zstd' } as const;

/** An encoded snapshot file, with its size and SHA-256. */
export interface SnapshotFile {
  file: string;
  bytes: number;
  sha256: string;
}

interface SnapshotsDeps {
  now: () => number;
  /** Returns the source of a set's snapshot. */
  source: (set: string) => SnapshotSource;
  /** Called when a build fails. The next request for the set starts a new one. */
  onFailure: (set: string, error: TidemarkError) => void;
}

export class Snapshots {
  readonly #folder: string;
  readonly #deps: SnapshotsDeps;
  readonly #ready = new Map<string, SnapshotManifest>();
  readonly #queue = new FairQueue();
  readonly #thread = new BuilderThread({
    module: new URL('./snapshot-worker.ts', import.meta.url),
    name: 'the snapshot thread',
    methods: SNAPSHOT_CALLS,
  });
  #closed = false;

  constructor(feedFolder: string, deps: SnapshotsDeps) {
    this.#folder = path.join(feedFolder, 'snapshots');
    this.#deps = deps;
    mkdirSync(this.#folder, { recursive: true });
    this.#removeUnfinished();
    for (const manifest of this.#onDisk()) {
      const other = this.#ready.get(manifest.scopes);
      if (!other || other.cursor.seq < manifest.cursor.seq) this.#ready.set(manifest.scopes, manifest);
    }
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
    throw new TidemarkError(this.#want(set, key) ? 'snapshot_building' : 'relay_busy');
  }

  /** Returns the file of a snapshot in a coding, or null if it no longer exists. */
  file(set: string, epoch: string, seq: number, coding: keyof typeof SUFFIXES): SnapshotFile | null {
    const name = nameOf(set, epoch, seq);
    const manifest = this.#read(name);
    const form = manifest?.codings.find((item) => item.coding === coding);
    if (!form) return null;
    this.#touch(path.join(this.#folder, name));
    return { file: path.join(this.#folder, name) + SUFFIXES[coding], bytes: form.bytes, sha256: form.sha256 };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#queue.close();
    await this.#thread.end();
  }

  /** Requests a build. Returns false if the queue is full. */
  #want(set: string, key: string): boolean {
    return this.#queue.ask(set, key, () => this.#renew(set));
  }

  /** Builds the snapshot of a set and replaces the old one. */
  async #renew(set: string): Promise<void> {
    try {
      const manifest = await this.#build(set);
      const old = this.#ready.get(set);
      this.#ready.set(set, manifest);
      if (old && old.cursor.seq !== manifest.cursor.seq) this.#remove(old);
      this.#removeUnused();
    } catch (error) {
      if (!this.#closed)
        this.#deps.onFailure(
          set,
          error instanceof TidemarkError ? error : new TidemarkError('internal', { detail: String(error) }, error),
        );
    }
  }

  async #build(set: string): Promise<SnapshotManifest> {
    const file = path.join(this.#folder, `building-${process.pid}.sqlite`);
    this.#discard(file);
    try {
      return this.#admit(file, await this.#thread.run({ source: this.#deps.source(set), file }));
    } catch (error) {
      this.#discard(file);
      throw error;
    }
  }

  #admit(file: string, manifest: SnapshotManifest): SnapshotManifest {
    const target = path.join(this.#folder, nameOf(manifest.scopes, manifest.cursor.epoch, manifest.cursor.seq));
    for (const suffix of Object.values(SUFFIXES)) renameSync(file + suffix, target + suffix);
    writeFileSync(`${target}.json.part`, JSON.stringify(manifest));
    renameSync(`${target}.json.part`, `${target}.json`);
    this.#touch(target);
    return manifest;
  }

  /** Records the time of a request as the manifest's modification time. */
  #touch(file: string): void {
    const at = new Date(this.#deps.now());
    utimesSync(`${file}.json`, at, at);
  }

  /** Removes every file that does not belong to a complete snapshot, such as those of an interrupted build. */
  #removeUnfinished(): void {
    const complete = this.#onDisk().flatMap(({ scopes, cursor }) => {
      const name = nameOf(scopes, cursor.epoch, cursor.seq);
      return [...Object.values(SUFFIXES), '.json'].map((suffix) => name + suffix);
    });
    const keep = new Set(complete);
    for (const name of readdirSync(this.#folder))
      if (!keep.has(name)) rmSync(path.join(this.#folder, name), { force: true, recursive: true });
  }

  #onDisk(): SnapshotManifest[] {
    return readdirSync(this.#folder).flatMap((name) =>
      name.endsWith('.json') ? (this.#read(name.slice(0, -'.json'.length)) ?? []) : [],
    );
  }

  #removeUnused(): void {
    for (const manifest of this.#onDisk()) {
      const { scopes, cursor } = manifest;
      const name = nameOf(scopes, cursor.epoch, cursor.seq);
      if (this.#deps.now() - statSync(path.join(this.#folder, `${name}.json`)).mtimeMs < UNUSED_MS) continue;
      if (this.#ready.get(scopes)?.cursor.seq === cursor.seq) this.#ready.delete(scopes);
      this.#remove(manifest);
    }
  }

  #read(name: string): SnapshotManifest | null {
    const file = path.join(this.#folder, `${name}.json`);
    if (!existsSync(file)) return null;
    try {
      return SnapshotManifest.parse(JSON.parse(readFileSync(file, 'utf8')));
    } catch {
      // The manifest is damaged or of another version. The snapshot is built again.
      return null;
    }
  }

  #remove({ scopes, cursor }: SnapshotManifest): void {
    const file = path.join(this.#folder, nameOf(scopes, cursor.epoch, cursor.seq));
    rmSync(`${file}.json`, { force: true });
    this.#discard(file);
  }

  #discard(file: string): void {
    for (const suffix of [...Object.values(SUFFIXES), '-wal', '-shm', '-journal'])
      rmSync(file + suffix, { force: true });
  }
}

const nameOf = (set: string, epoch: string, seq: number) => `${epoch}-${set}-${seq}.sqlite`;
