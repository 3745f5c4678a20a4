import { constants, gzipSync, zstdCompressSync } from 'node:zlib';

/** Content codings of answers, and how the relay compresses. */

/** Content codings that the relay offers, in order of preference. */
export const CODINGS = ['zstd', 'gzip', 'identity'] as const;
export type Coding = (typeof CODINGS)[number];

export interface ReadyPage {
  bytes: Buffer;
  /** The coding of `bytes`. It is `identity` if compression would not help, even if another was requested. */
  coding: Coding;
}

const ZSTD = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };
const GZIP = { level: 1 };

/** Answers smaller than this, in bytes, are not compressed: it would cost more than it saves. */
const SMALL_BYTES = 1024;

/** Compresses an answer, which blocks the calling thread for milliseconds. */
export function compressNow(bytes: Buffer, coding: Coding): ReadyPage {
  if (coding === 'identity' || bytes.length < SMALL_BYTES) return { bytes, coding: 'identity' };
  return { bytes: coding === 'zstd' ? zstdCompressSync(bytes, ZSTD) : gzipSync(bytes, GZIP), coding };
}
