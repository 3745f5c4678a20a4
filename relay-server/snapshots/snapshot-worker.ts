import { createHash } from 'node:crypto';
import { closeSync, createReadStream, createWriteStream, fsyncSync, openSync, statSync } from 'node:fs';
import { Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createGzip, createZstdCompress } from 'node:zlib';
import type { SnapshotManifest } from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import { buildSnapshot, type SnapshotSource } from '@tidemark/table-store/snapshot';
import { serveBuild } from '../threads/builder-thread.ts';
import { SNAPSHOT_CALLS } from './snapshot-calls.ts';

/**
 * A thread that builds one snapshot and its compressed forms and then ends.
 *
 * Order: the SQLite file, its hash, then one encoded file after another, so that memory and disk bandwidth stay
 * bounded. The thread syncs every file before it answers, because the relay then renames them. The caller removes the
 * files of a failed build.
 */

/** Size of the chunks in which a file is read, in bytes. */
const CHUNK_BYTES = 1 << 20;

/**
 * Hashes the bytes of a stream, so that the encoded file is not read a second time. Fails with disk_full after
 * `maxBytes`.
 */
class Hash extends Transform {
  readonly #hash = createHash('sha256');
  #roomBytes: number;

  constructor(maxBytes: number) {
    super();
    this.#roomBytes = maxBytes;
  }

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    this.#roomBytes -= chunk.length;
    if (this.#roomBytes < 0) {
      done(new TidemarkError('disk_full', { detail: 'compressing a snapshot' }));
      return;
    }
    this.#hash.update(chunk);
    done(null, chunk);
  }

  hex(): string {
    return this.#hash.digest('hex');
  }
}

/**
 * Writes the compressed form of a file to the same folder. It uses level 1, because the relay builds snapshots for many
 * sets, and a fast build matters more than a small file.
 */
async function encode(
  file: string,
  coding: 'zstd' | 'gzip',
  maxBytes: number,
): Promise<{ coding: 'zstd' | 'gzip'; bytes: number; sha256: string }> {
  const target = `${file}.${coding}`;
  const hash = new Hash(maxBytes);
  const encoder =
    coding === 'gzip'
      ? createGzip({ level: 1 })
      : createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: 1 } });
  await pipeline(createReadStream(file, { highWaterMark: CHUNK_BYTES }), encoder, hash, createWriteStream(target));
  const handle = openSync(target, 'r+');
  fsyncSync(handle);
  closeSync(handle);
  return { coding, bytes: statSync(target).size, sha256: hash.hex() };
}

async function plainHash(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { highWaterMark: CHUNK_BYTES })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

async function build(source: SnapshotSource, file: string, maxBytes: number): Promise<SnapshotManifest> {
  const built = buildSnapshot(source, file, maxBytes);
  const sha256 = await plainHash(file);
  const zstd = await encode(file, 'zstd', maxBytes - built.bytes);
  const gzip = await encode(file, 'gzip', maxBytes - built.bytes - zstd.bytes);
  const codings = [{ coding: 'identity' as const, bytes: built.bytes, sha256 }, zstd, gzip];
  return { feed: source.feed, scopes: source.scopes, ...built, sha256, codings };
}

serveBuild(SNAPSHOT_CALLS, ({ source, file, maxBytes }) => build(source, file, maxBytes));
