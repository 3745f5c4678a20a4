import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync, readdirSync, rmSync, statfsSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough, type Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import zlib from 'node:zlib';
import type { SnapshotManifest } from '@tidemark/protocol/api';
import { diskFullError, TidemarkError } from '@tidemark/protocol/errors';
import { guard } from '@tidemark/table-store/sqlite';
import type { RelayClient, Transfer } from './relay-client.ts';

/** Free bytes that a download must leave on the disk. */
const SPARE_BYTES = 16 * 1024 * 1024;

/** Decoded bytes are handed on in pieces of this size. */
const CHUNK_BYTES = 512 * 1024;

type Coding = SnapshotManifest['codings'][number];

/**
 * The snapshot files beside a replica. A download is kept in the coding in which it came, under the hash of what it
 * is to be, so that it goes on where it was cut, also after the process was killed.
 */
export class Downloads {
  readonly #database: string;

  constructor(database: string) {
    this.#database = database;
  }

  /** The whole, checked SQLite file. */
  get file(): string {
    return `${this.#database}.snapshot`;
  }

  /** What a manifest costs over the network, bytes; and how much of it is here. */
  standing(manifest: SnapshotManifest): { here: number; total: number } {
    const coding = choose(manifest);
    const partial = this.#partial(manifest, coding);
    return { here: existsSync(partial) ? statSync(partial).size : 0, total: coding.bytes };
  }

  /**
   * Downloads a snapshot and checks it. Throws snapshot_corrupt (what was downloaded is then gone), disk_full,
   * RelayErrors, `cancelled`.
   */
  async fetch(
    relay: RelayClient,
    manifest: SnapshotManifest,
    signal: AbortSignal,
    transfer: Transfer & { at(bytes: number): void },
  ): Promise<void> {
    const coding = choose(manifest);
    const partial = this.#partial(manifest, coding);
    this.clear(partial);
    const here = existsSync(partial) ? statSync(partial).size : 0;
    this.#requireSpace(coding.bytes - here + 2 * manifest.bytes);
    await guarded(partial, () => this.#receive(relay, { manifest, coding, partial, here }, signal, transfer));
    rmSync(partial, { force: true });
  }

  /** Removes all downloads but `keep`. */
  clear(keep?: string): void {
    const folder = path.dirname(this.#database);
    const mine = [`${path.basename(this.#database)}.download-`, `${path.basename(this.#database)}.snapshot`];
    for (const name of readdirSync(folder)) {
      const file = path.join(folder, name);
      if (mine.some((start) => name.startsWith(start)) && file !== keep) rmSync(file, { force: true });
    }
  }

  #partial(manifest: SnapshotManifest, coding: Coding): string {
    return `${this.#database}.download-${manifest.sha256.slice(0, 24)}.${coding.coding}`;
  }

  #requireSpace(needed: number): void {
    const disk = statfsSync(path.dirname(this.#database));
    const free = disk.bavail * disk.bsize;
    if (free < needed + SPARE_BYTES) throw diskFullError(free, needed + SPARE_BYTES);
  }

  /** What comes is kept as it came, hashed, decoded and written in one go. */
  async #receive(
    relay: RelayClient,
    { manifest, coding, partial, here }: Receiving,
    signal: AbortSignal,
    transfer: Transfer & { at(bytes: number): void },
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
        transfer.at(size);
        yield hashed(chunk);
      }
    }
    const hashed = (chunk: Buffer) => {
      hash.update(chunk);
      return chunk;
    };
    const corrupt = (cause?: unknown) => {
      this.clear();
      return new TidemarkError('snapshot_corrupt', {}, cause);
    };
    try {
      await pipeline(
        encoded,
        decoderOf(coding),
        createWriteStream(this.file, { highWaterMark: CHUNK_BYTES, flush: true }),
        { signal },
      );
    } catch (error) {
      if (signal.aborted) throw new TidemarkError('cancelled');
      // A coding that cannot be undone, by zlib's and zstd's codes.
      const code = String((error as { code?: unknown }).code);
      if (/^(Z_|ZSTD_)/.test(code)) throw corrupt(error);
      throw error;
    } finally {
      await file.close();
    }
    if (size !== coding.bytes || hash.digest('hex') !== coding.sha256) throw corrupt();
  }
}

interface Receiving {
  manifest: SnapshotManifest;
  coding: Coding;
  partial: string;
  /** Bytes of it that are here. */
  here: number;
}

function decoderOf({ coding }: Coding): Transform {
  const options = { chunkSize: CHUNK_BYTES };
  if (coding === 'zstd') return zlib.createZstdDecompress(options);
  return coding === 'gzip' ? zlib.createGunzip(options) : new PassThrough();
}

/** The smallest form that this runtime can undo. */
function choose(manifest: SnapshotManifest): Coding {
  const can = manifest.codings.filter(
    ({ coding }) => coding !== 'zstd' || typeof zlib.createZstdDecompress === 'function',
  );
  const best = can.sort((a, b) => a.bytes - b.bytes)[0];
  if (!best) throw new TidemarkError('page_invalid', { detail: 'its copy comes in no form that is known here' });
  return best;
}

/** Coded errors of the file system. */
async function guarded(file: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    guard(file, () => {
      throw error;
    });
  }
}
