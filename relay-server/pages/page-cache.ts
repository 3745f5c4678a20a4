import { promisify } from 'node:util';
import { constants, gzip, zstdCompress } from 'node:zlib';
import { LRUCache } from 'lru-cache';

/**
 * Answers that never change, ready to send: each is built and compressed once while it stays here, even when many ask for it
 * at the same moment. Bounded in bytes; the least recently used go first. An answer counts from the moment it is ready;
 * until then it is kept apart, and one that fails is forgotten.
 */

/** Content codings that the relay offers, the smallest first. */
export const CODINGS = ['zstd', 'gzip', 'identity'] as const;
export type Coding = (typeof CODINGS)[number];

export interface ReadyPage {
  bytes: Buffer;
  /** `identity` even when compression was asked for, if it would not help. */
  coding: Coding;
}

const compress = {
  zstd: (bytes: Buffer) => promisify(zstdCompress)(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 1 } }),
  gzip: (bytes: Buffer) => promisify(gzip)(bytes, { level: 1 }),
};

/** Below this size compression costs more than it saves, bytes. */
const SMALL_BYTES = 1024;

export class PageCache {
  readonly #ready: LRUCache<string, ReadyPage>;
  readonly #building = new Map<string, Promise<ReadyPage>>();
  /** Sizes of all pages that were compressed, before and after, bytes. */
  #plainBytes = 0;
  #compressedBytes = 0;

  constructor(limitBytes: number) {
    this.#ready = new LRUCache({ maxSize: limitBytes, sizeCalculation: ({ bytes }) => Math.max(1, bytes.length) });
  }

  /** Compressed size of all pages so far by their plain size, 0 to 1; null: none was compressed. */
  get ratio(): number | null {
    return this.#plainBytes === 0 ? null : this.#compressedBytes / this.#plainBytes;
  }

  /** The page of this name in this coding. `build` gives its bytes, and what it throws is thrown to everyone who waits. */
  get(name: string, coding: Coding, build: () => Buffer | Promise<Buffer>): Promise<ReadyPage> {
    const key = `${coding} ${name}`;
    const ready = this.#ready.get(key);
    if (ready) return Promise.resolve(ready);
    const building = this.#building.get(key);
    if (building) return building;
    const page = this.#build(name, coding, build).then(
      (built) => {
        this.#building.delete(key);
        this.#ready.set(key, built);
        return built;
      },
      (error: unknown) => {
        this.#building.delete(key);
        throw error;
      },
    );
    this.#building.set(key, page);
    return page;
  }

  async #build(name: string, coding: Coding, build: () => Buffer | Promise<Buffer>): Promise<ReadyPage> {
    if (coding === 'identity') return { bytes: await build(), coding };
    const key = `identity ${name}`;
    const plain = this.#ready.get(key) ?? (await this.#building.get(key));
    const bytes = plain ? plain.bytes : await build();
    if (bytes.length < SMALL_BYTES) return { bytes, coding: 'identity' };
    const compressed = await compress[coding](bytes);
    this.#plainBytes += bytes.length;
    this.#compressedBytes += compressed.length;
    return { bytes: compressed, coding };
  }
}
