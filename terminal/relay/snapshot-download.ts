import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync, readdirSync, rmSync, statfsSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import zlib from 'node:zlib';
import type { SnapshotManifest } from '@tidemark/protocol/api';
import { diskFullError, TidemarkError } from '@tidemark/protocol/errors';
import { CheckedSnapshot, type SnapshotName } from '@tidemark/replica/checked-snapshot';
import { removeSnapshotFile, snapshotFileOf } from '@tidemark/replica/snapshot-file';
import { guard } from '@tidemark/table-store/sqlite';
import type { RelayClient } from './relay-client.ts';
import type { Transfer } from './relay-transport.ts';

/**
 * Downloads a snapshot into the replica's folder. It stores the encoded bytes in a file named after the hash of the
 * finished snapshot. A later download, even after a kill, continues that file.
 *
 * Order: check the disk space. Receive, store, hash and decode in one pass, into no more than the bytes that the manifest
 * names. Compare the hash. Then check the file, and wait until it is on disk. Only then may it be installed.
 */

/** Free bytes that a download must leave on the disk. */
const SPARE_BYTES = 16 * 1024 * 1024;

/** Size of each write of decoded bytes. */
const CHUNK_BYTES = 512 * 1024;

type Coding = SnapshotManifest['codings'][number];

/** A download, and how much of it is stored. */
interface Partial {
  manifest: SnapshotManifest;
  coding: Coding;
  file: string;
  storedBytes: number;
}

/** `stored`: called with the stored size so far, bytes. */
export interface DownloadTransfer extends Transfer {
  stored(bytes: number): void;
}

export class SnapshotDownload {
  readonly #database: string;

  constructor(database: string) {
    this.#database = database;
  }

  /** The path of the decoded SQLite file. It exists once `fetch` has resolved. */
  get file(): string {
    return snapshotFileOf(this.#database);
  }

  /** Returns the size of the download and its stored part, bytes. */
  progress(manifest: SnapshotManifest): { here: number; total: number } {
    const coding = choose(manifest);
    return { here: this.#partial(manifest, coding).storedBytes, total: coding.bytes };
  }

  /**
   * Downloads, verifies and decodes a snapshot. Throws `snapshot_corrupt` (after removing the stored part),
   * `disk_full`, RelayErrors, `cancelled`.
   */
  async fetch(
    relay: RelayClient,
    manifest: SnapshotManifest,
    signal: AbortSignal,
    transfer: DownloadTransfer,
  ): Promise<void> {
    const coding = choose(manifest);
    const partial = this.#partial(manifest, coding);
    this.#clear(partial.file);
    // The disk needs space for the decoded file and for the replica that is built from it.
    this.#requireSpace(coding.bytes - partial.storedBytes + 2 * manifest.bytes);
    try {
      await guarded(partial.file, () => this.#receive(relay, partial, signal, transfer));
    } catch (error) {
      removeSnapshotFile(this.file);
      // On a full disk SQLite could not open the replica, so do not keep the stored part.
      if (error instanceof TidemarkError && error.code === 'disk_full') this.#clear();
      throw error;
    }
    rmSync(partial.file, { force: true });
  }

  /**
   * Checks the decoded file, while the system writes it to disk. Throws `snapshot_corrupt`, `db_newer_version`,
   * `disk_full` or `db_*` after removing the file.
   */
  async check(name: SnapshotName): Promise<CheckedSnapshot> {
    const { file } = this;
    try {
      return await guarded(file, async () => {
        const handle = await open(file, 'r+');
        try {
          // Another thread writes the file while this one checks it.
          const written = handle.sync();
          try {
            return CheckedSnapshot.check(file, name);
          } finally {
            await written;
          }
        } finally {
          await handle.close();
        }
      });
    } catch (error) {
      removeSnapshotFile(file);
      throw error;
    }
  }

  /** Removes the files of all downloads except `keep`. */
  #clear(keep?: string): void {
    const folder = path.dirname(this.#database);
    const mine = [`${path.basename(this.#database)}.download-`, `${path.basename(this.#database)}.snapshot`];
    for (const name of readdirSync(folder)) {
      const file = path.join(folder, name);
      if (mine.some((start) => name.startsWith(start)) && file !== keep) rmSync(file, { force: true });
    }
  }

  #partial(manifest: SnapshotManifest, coding: Coding): Partial {
    const file = `${this.#database}.download-${manifest.sha256.slice(0, 24)}.${coding.coding}`;
    return { manifest, coding, file, storedBytes: existsSync(file) ? statSync(file).size : 0 };
  }

  #requireSpace(needed: number): void {
    const disk = statfsSync(path.dirname(this.#database));
    const free = disk.bavail * disk.bsize;
    if (free < needed + SPARE_BYTES) throw diskFullError(free, needed + SPARE_BYTES);
  }

  /** Reads the stored part again first, because the hash covers the entire file. */
  async #receive(
    relay: RelayClient,
    { manifest, coding, file: partial, storedBytes: here }: Partial,
    signal: AbortSignal,
    transfer: DownloadTransfer,
  ): Promise<void> {
    const answer =
      here === coding.bytes
        ? { from: here, chunks: [] }
        : await relay.snapshot(manifest, coding.coding, here, signal, transfer);
    const hash = createHash('sha256');
    const file = await open(partial, answer.from === 0 ? 'w' : 'a');
    let size = answer.from;
    async function* encoded(): AsyncGenerator<Buffer> {
      if (answer.from > 0) for await (const chunk of createReadStream(partial)) yield hashed(chunk as Buffer);
      for await (const chunk of answer.chunks) {
        size += chunk.length;
        if (size > coding.bytes) return;
        await file.write(chunk);
        transfer.stored(size);
        yield hashed(chunk);
      }
    }
    const hashed = (chunk: Buffer) => {
      hash.update(chunk);
      return chunk;
    };
    const corrupt = (cause?: unknown) => {
      this.#clear();
      return new TidemarkError('snapshot_corrupt', {}, cause);
    };
    try {
      await pipeline(
        encoded,
        decoderOf(coding),
        limitTo(manifest.bytes),
        createWriteStream(this.file, { highWaterMark: CHUNK_BYTES }),
        { signal },
      );
    } catch (error) {
      if (signal.aborted) throw new TidemarkError('cancelled');
      // Error codes of zlib and zstd for bytes that cannot be decoded.
      const code = String((error as { code?: unknown }).code);
      if (/^(Z_|ZSTD_)/.test(code) || error instanceof TooLarge) throw corrupt(error);
      throw error;
    } finally {
      await file.close();
    }
    if (size !== coding.bytes || hash.digest('hex') !== coding.sha256) throw corrupt();
  }
}

function decoderOf({ coding }: Coding): Transform {
  const options = { chunkSize: CHUNK_BYTES };
  if (coding === 'zstd') return zlib.createZstdDecompress(options);
  return coding === 'gzip' ? zlib.createGunzip(options) : new PassThrough();
}

/** Thrown when the decoded bytes exceed the size that the manifest names. */
class TooLarge extends Error {}

/** Passes on at most `bytes` bytes, and fails with {@link TooLarge} at the next one. A few kB may decode to many GB. */
function limitTo(bytes: number): Transform {
  let passed = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      passed += chunk.length;
      if (passed > bytes) done(new TooLarge(`the copy decodes to more than ${bytes} bytes`));
      else done(null, chunk);
    },
  });
}

/** Returns the smallest form of the snapshot that this runtime can decode. Throws `page_invalid` when there is none. */
function choose(manifest: SnapshotManifest): Coding {
  const can = manifest.codings.filter(
    ({ coding }) => coding !== 'zstd' || typeof zlib.createZstdDecompress === 'function',
  );
  const best = can.sort((a, b) => a.bytes - b.bytes)[0];
  if (!best)
    throw new TidemarkError('page_invalid', { detail: 'its snapshot comes in no coding that this program can decode' });
  return best;
}

/** Converts errors of the file system to coded errors. */
async function guarded<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    return guard(file, () => {
      throw error;
    });
  }
}
