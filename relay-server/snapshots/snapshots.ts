import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { SnapshotManifest } from '@tidemark/protocol/api.ts';
import { TidemarkError } from '@tidemark/protocol/errors.ts';
import { EVERYONE } from '@tidemark/protocol/page.ts';
import type { Fault } from '@tidemark/protocol/status/facts.ts';
import type { SnapshotSource } from '@tidemark/replica/snapshot.ts';
import { MIRROR_STANDING_SQL } from '../store/log-format.ts';

export type SnapshotReply = { ok: true; manifest: SnapshotManifest } | { ok: false; fault: Fault };

/** A snapshot is renewed when replaying the log since it would send more than this part of its own size. */
const RENEW_AT = 0.25;

const SUFFIXES = { identity: '', gzip: '.gzip', zstd: '.zstd' } as const;

/** The snapshot files of one feed: built on demand, one build at a time, reused for every terminal. */
export class Snapshots {
  readonly #feed: string;
  readonly #folder: string;
  readonly #mirror: string;
  readonly #failed: (error: TidemarkError) => void;
  #ready: SnapshotManifest | null;
  #building: Promise<SnapshotManifest> | null = null;
  #worker: Worker | null = null;

  /** `failed` is told of builds that did not succeed; the next request builds anew. */
  constructor(feed: string, feedFolder: string, mirror: string, failed: (error: TidemarkError) => void) {
    this.#feed = feed;
    this.#folder = path.join(feedFolder, 'snapshots');
    this.#mirror = mirror;
    this.#failed = failed;
    mkdirSync(this.#folder, { recursive: true });
    for (const name of readdirSync(this.#folder))
      if (name.startsWith('building-')) rmSync(path.join(this.#folder, name), { force: true });
    this.#ready = this.#newest();
  }

  /** The manifest of the file that is ready, whatever its age. */
  ready(epoch: string): SnapshotManifest | null {
    return this.#ready?.cursor.epoch === epoch ? this.#ready : null;
  }

  /**
   * The snapshot to download now, not from before `from`. `logBytesSince` tells what replaying the log from a seq costs.
   * Throws snapshot_building while one is made.
   */
  current(epoch: string, from: number, logBytesSince: (seq: number) => number): SnapshotManifest {
    const ready = this.ready(epoch);
    if (ready && ready.cursor.seq >= from) {
      const download = ready.codings.find(({ coding }) => coding === 'zstd')?.bytes ?? ready.bytes;
      const since = logBytesSince(ready.cursor.seq);
      if (since > download * RENEW_AT) this.#build();
      // An old copy serves while its renewal is made, unless what follows it weighs more than itself.
      if (since <= ready.bytes) return ready;
    }
    this.#build();
    throw new TidemarkError('snapshot_building');
  }

  /** The file of a snapshot in a coding, or null when it is gone. */
  file(
    epoch: string,
    seq: number,
    coding: keyof typeof SUFFIXES,
  ): { file: string; bytes: number; sha256: string } | null {
    const manifest = this.#read(this.#name(epoch, seq));
    const form = manifest?.codings.find((item) => item.coding === coding);
    if (!form) return null;
    return {
      file: path.join(this.#folder, this.#name(epoch, seq)) + SUFFIXES[coding],
      bytes: form.bytes,
      sha256: form.sha256,
    };
  }

  /** Waits for the build in hand, if any. */
  async settled(): Promise<void> {
    await this.#building?.catch(() => undefined);
  }

  async close(): Promise<void> {
    await this.#worker?.terminate();
  }

  #build(): void {
    if (this.#building) return;
    this.#building = this.#run();
    this.#building
      .then((manifest) => {
        const old = this.#ready;
        this.#ready = manifest;
        if (old) this.#remove(old);
      })
      .catch((error: unknown) =>
        this.#failed(
          error instanceof TidemarkError ? error : new TidemarkError('internal', { detail: String(error) }, error),
        ),
      )
      .finally(() => {
        this.#building = null;
        this.#worker = null;
      });
  }

  #run(): Promise<SnapshotManifest> {
    const file = path.join(this.#folder, `building-${process.pid}.sqlite`);
    this.#discard(file);
    const source: SnapshotSource = {
      mirror: this.#mirror,
      feed: this.#feed,
      scopes: EVERYONE,
      standingSql: MIRROR_STANDING_SQL,
      tables: {},
    };
    return new Promise((resolve, reject) => {
      const worker = new Worker(new URL('./thread.ts', import.meta.url), { workerData: { source, file } });
      this.#worker = worker;
      const fail = (error: unknown) => {
        this.#discard(file);
        reject(error);
      };
      worker.once('error', fail);
      worker.once('exit', () => fail(new TidemarkError('internal', { detail: 'the snapshot thread ended' })));
      worker.once('message', (reply: SnapshotReply) => {
        if (!reply.ok) return fail(new TidemarkError(reply.fault.code, reply.fault.params, reply.fault.detail));
        resolve(this.#admit(file, reply.manifest));
      });
    });
  }

  #admit(file: string, built: SnapshotManifest): SnapshotManifest {
    const manifest = SnapshotManifest.parse(built);
    const target = path.join(this.#folder, this.#name(manifest.cursor.epoch, manifest.cursor.seq));
    for (const suffix of Object.values(SUFFIXES)) renameSync(file + suffix, target + suffix);
    writeFileSync(`${target}.json.part`, JSON.stringify(manifest));
    renameSync(`${target}.json.part`, `${target}.json`);
    return manifest;
  }

  #newest(): SnapshotManifest | null {
    const manifests = readdirSync(this.#folder).flatMap((name) =>
      name.endsWith('.json') ? [this.#read(name.slice(0, -5))] : [],
    );
    return manifests.filter((manifest) => manifest !== null).sort((a, b) => b.cursor.seq - a.cursor.seq)[0] ?? null;
  }

  #read(name: string): SnapshotManifest | null {
    const file = path.join(this.#folder, `${name}.json`);
    return existsSync(file) ? SnapshotManifest.parse(JSON.parse(readFileSync(file, 'utf8'))) : null;
  }

  #name(epoch: string, seq: number): string {
    return `${epoch}-${seq}.sqlite`;
  }

  /** Downloads in hand keep their open file; those that come later are told that it is gone. */
  #remove({ cursor }: SnapshotManifest): void {
    const file = path.join(this.#folder, this.#name(cursor.epoch, cursor.seq));
    rmSync(`${file}.json`, { force: true });
    this.#discard(file);
  }

  #discard(file: string): void {
    for (const suffix of [...Object.values(SUFFIXES), '-wal', '-shm', '-journal'])
      rmSync(file + suffix, { force: true });
  }
}
