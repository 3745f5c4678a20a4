import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync, readdirSync, rmSync, statfsSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import zlib from 'node:zlib';
import type { SnapshotManifest } from '@tidemark/protocol/api.ts';
import { TidemarkError } from '@tidemark/protocol/errors.ts';
import { guard } from '@tidemark/replica/sqlite.ts';
import type { RelayClient, Transfer } from './relay-client.ts';

/** Free bytes that a download must leave on the disk. */
const SPARE_BYTES = 16 * 1024 * 1024;

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
    await guarded(partial, async () => {
      if (here !== coding.bytes) await receive(relay, { manifest, coding, partial, here }, signal, transfer);
      const sha256 = await this.#decode(partial, coding, manifest.bytes);
      if (sha256 !== manifest.sha256) {
        this.clear();
        throw new TidemarkError('snapshot_corrupt');
      }
    });
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
    if (free < needed + SPARE_BYTES)
      throw new TidemarkError('disk_full', { detail: `${mb(free)} free, about ${mb(needed + SPARE_BYTES)} needed` });
  }

  /** Undoes the coding, and gives the hash of what comes out. */
  async #decode(partial: string, coding: Coding, bytes: number): Promise<string> {
    const hash = createHash('sha256');
    const decoder =
      coding.coding === 'zstd'
        ? zlib.createZstdDecompress()
        : coding.coding === 'gzip'
          ? zlib.createGunzip()
          : new PassThrough();
    const source = createReadStream(partial, { highWaterMark: 1 << 20 });
    let size = 0;
    try {
      await pipeline(
        source,
        decoder,
        async function* (chunks: AsyncIterable<Buffer>) {
          for await (const chunk of chunks) {
            size += chunk.length;
            if (size > bytes) throw new TidemarkError('snapshot_corrupt');
            hash.update(chunk);
            yield chunk;
          }
        },
        createWriteStream(this.file, { highWaterMark: 1 << 20 }),
      );
    } catch (error) {
      const code = (error as { code?: unknown }).code;
      // A coding that cannot be undone: zlib's and zstd's codes.
      if (typeof code === 'string' && /^(Z_|ZSTD_)/.test(code)) return '';
      if (error instanceof TidemarkError && error.code === 'snapshot_corrupt') return '';
      throw error;
    }
    return hash.digest('hex');
  }
}

interface Receiving {
  manifest: SnapshotManifest;
  coding: Coding;
  partial: string;
  here: number;
}

async function receive(
  relay: RelayClient,
  { manifest, coding, partial, here }: Receiving,
  signal: AbortSignal,
  transfer: Transfer & { at(bytes: number): void },
): Promise<void> {
  const answer = await relay.snapshot(manifest, coding.coding, here, signal, transfer);
  const file = await open(partial, answer.from === 0 ? 'w' : 'a');
  let size = answer.from;
  try {
    transfer.at(size);
    for await (const chunk of answer.chunks) {
      size += chunk.length;
      if (size > coding.bytes) break;
      await file.write(chunk);
      transfer.at(size);
    }
  } finally {
    await file.close();
  }
  if (size > coding.bytes) rmSync(partial, { force: true });
  if (size !== coding.bytes) throw new TidemarkError('snapshot_corrupt');
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

const mb = (bytes: number): string => `${Math.ceil(bytes / 1e6)} MB`;
