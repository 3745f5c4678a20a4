import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { SnapshotManifest } from '@tidemark/protocol/api';

/**
 * The snapshot files of one feed on disk, and the number of requests that read each one.
 *
 * The manifest, a `.json` file, is written last: a snapshot without one is incomplete. Its modification time is the time
 * of the last request. Only its caller decides which snapshot to remove.
 */

/** Space that snapshots leave free on the disk: this many bytes, or this fraction of the disk if that is smaller. */
const RESERVE_BYTES = 256 << 20;
const RESERVE_OF_DISK = 0.05;

const SUFFIXES = { identity: '', gzip: '.gzip', zstd: '.zstd' } as const;

/** An encoded snapshot file, with its size and SHA-256. */
export interface SnapshotFile {
  file: string;
  bytes: number;
  sha256: string;
}

/** A complete snapshot. */
export interface KeptSnapshot {
  name: string;
  manifest: SnapshotManifest;
  /** Size of all its forms together, in bytes. */
  bytes: number;
  /** Time of the last request, in ms. */
  usedAtMs: number;
}

export class SnapshotFolder {
  readonly #folder: string;
  readonly #now: () => number;
  /** Number of requests that read a snapshot, by its name. */
  readonly #readers = new Map<string, number>();

  constructor(feedFolder: string, now: () => number) {
    this.#folder = path.join(feedFolder, 'snapshots');
    this.#now = now;
    mkdirSync(this.#folder, { recursive: true });
    this.#removeUnfinished();
  }

  /** Returns the complete snapshots, least recently requested first. */
  kept(): KeptSnapshot[] {
    const names = readdirSync(this.#folder).flatMap((file) =>
      file.endsWith('.json') ? [file.slice(0, -'.json'.length)] : [],
    );
    const kept = names.flatMap((name): KeptSnapshot[] => {
      const manifest = this.#read(name);
      if (!manifest) return [];
      return [{ name, manifest, bytes: sizeOf(manifest), usedAtMs: statSync(this.#path(`${name}.json`)).mtimeMs }];
    });
    return kept.sort((a, b) => a.usedAtMs - b.usedAtMs);
  }

  /** Whether a request reads the snapshot at this moment. */
  isRead(name: string): boolean {
    return this.#readers.has(name);
  }

  /** Returns the file of a snapshot in a coding, or null if it no longer exists. */
  file(name: string, coding: keyof typeof SUFFIXES): SnapshotFile | null {
    const form = this.#read(name)?.codings.find((item) => item.coding === coding);
    if (!form) return null;
    this.#touch(name);
    return { file: this.#path(name) + SUFFIXES[coding], bytes: form.bytes, sha256: form.sha256 };
  }

  /** Runs `use`, during which {@link isRead} is true. */
  async reading<T>(name: string, use: () => Promise<T>): Promise<T> {
    this.#readers.set(name, (this.#readers.get(name) ?? 0) + 1);
    try {
      return await use();
    } finally {
      const others = (this.#readers.get(name) ?? 1) - 1;
      if (others > 0) this.#readers.set(name, others);
      else this.#readers.delete(name);
    }
  }

  /** Returns the path of the snapshot that is being built, and removes the files of an earlier build. */
  building(): string {
    const file = this.#path(`building-${process.pid}.sqlite`);
    this.#discard(file);
    return file;
  }

  /** Removes the files of a failed build. */
  abandon(): void {
    this.building();
  }

  /** Renames the files of a complete build, and writes its manifest. */
  admit(file: string, manifest: SnapshotManifest): void {
    const name = nameOf(manifest.scopes, manifest.cursor.epoch, manifest.cursor.seq);
    const target = this.#path(name);
    for (const suffix of Object.values(SUFFIXES)) renameSync(file + suffix, target + suffix);
    writeFileSync(`${target}.json.part`, JSON.stringify(manifest));
    renameSync(`${target}.json.part`, `${target}.json`);
    this.#touch(name);
  }

  remove(name: string): void {
    rmSync(this.#path(`${name}.json`), { force: true });
    this.#discard(this.#path(name));
  }

  /** Returns the free space of the disk beyond the reserve, in bytes. */
  roomBytes(): number {
    const disk = statfsSync(this.#folder);
    return disk.bavail * disk.bsize - Math.min(RESERVE_BYTES, disk.blocks * disk.bsize * RESERVE_OF_DISK);
  }

  #path(file: string): string {
    return path.join(this.#folder, file);
  }

  /** Records the time of a request as the manifest's modification time. */
  #touch(name: string): void {
    const at = new Date(this.#now());
    utimesSync(this.#path(`${name}.json`), at, at);
  }

  /** Removes every file that does not belong to a complete snapshot, such as those of an interrupted build. */
  #removeUnfinished(): void {
    const complete = this.kept().flatMap(({ manifest: { scopes, cursor } }) => {
      const name = nameOf(scopes, cursor.epoch, cursor.seq);
      return [...Object.values(SUFFIXES), '.json'].map((suffix) => name + suffix);
    });
    const keep = new Set(complete);
    for (const file of readdirSync(this.#folder))
      if (!keep.has(file)) rmSync(this.#path(file), { force: true, recursive: true });
  }

  #read(name: string): SnapshotManifest | null {
    const file = this.#path(`${name}.json`);
    if (!existsSync(file)) return null;
    try {
      return SnapshotManifest.parse(JSON.parse(readFileSync(file, 'utf8')));
    } catch {
      // The manifest is damaged or of another version. The snapshot is built again.
      return null;
    }
  }

  #discard(file: string): void {
    for (const suffix of [...Object.values(SUFFIXES), '-wal', '-shm', '-journal'])
      rmSync(file + suffix, { force: true });
  }
}

export const nameOf = (set: string, epoch: string, seq: number) => `${epoch}-${set}-${seq}.sqlite`;

/** Returns the size of all forms of a snapshot, in bytes. */
export const sizeOf = ({ codings }: SnapshotManifest) => codings.reduce((sum, { bytes }) => sum + bytes, 0);
