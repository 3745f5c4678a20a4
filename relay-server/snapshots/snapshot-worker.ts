import { createHash } from 'node:crypto';
import { closeSync, createReadStream, createWriteStream, fsyncSync, openSync, statSync } from 'node:fs';
import { Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { workerData } from 'node:worker_threads';
import { constants, createGzip, createZstdCompress } from 'node:zlib';
import type { SnapshotManifest } from '@tidemark/protocol/api';
import { buildSnapshot, type SnapshotSource } from '@tidemark/table-store/snapshot';
import { replyWith } from '../threads/builder-thread.ts';

/** Builds one snapshot and its compressed forms, off the event loop, and ends. */
const { source, file } = workerData as { source: SnapshotSource; file: string };

class Hash extends Transform {
  readonly #hash = createHash('sha256');

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    this.#hash.update(chunk);
    done(null, chunk);
  }

  hex(): string {
    return this.#hash.digest('hex');
  }
}

async function encode(coding: 'zstd' | 'gzip'): Promise<{ coding: 'zstd' | 'gzip'; bytes: number; sha256: string }> {
  const target = `${file}.${coding}`;
  const hash = new Hash();
  const encoder =
    coding === 'gzip'
      ? createGzip({ level: 1 })
      : createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: 1 } });
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), encoder, hash, createWriteStream(target));
  const handle = openSync(target, 'r+');
  fsyncSync(handle);
  closeSync(handle);
  return { coding, bytes: statSync(target).size, sha256: hash.hex() };
}

async function plainHash(): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

async function build(): Promise<SnapshotManifest> {
  const built = buildSnapshot(source, file);
  const sha256 = await plainHash();
  const codings = [
    { coding: 'identity' as const, bytes: built.bytes, sha256 },
    await encode('zstd'),
    await encode('gzip'),
  ];
  return { feed: source.feed, scopes: source.scopes, ...built, sha256, codings };
}

await replyWith(build);
