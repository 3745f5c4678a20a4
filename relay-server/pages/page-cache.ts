import { promisify } from 'node:util';
import { constants, gzip, zstdCompress } from 'node:zlib';
import { LRUCache } from 'lru-cache';

/**
 * A cache of encoded answers that never change. Concurrent requests for an answer share one build. The total size is
 * limited; the least recently used answers are evicted first. An answer counts towards the limit once it is built. A
 * failed build is not cached.
 */

/** Content codings that the relay offers, in order of preference. */
export const CODINGS = ['zstd', 'gzip', 'identity'] as const;
export type Coding = (typeof CODINGS)[number];

export interface ReadyPage {
  bytes: Buffer;
  /** The coding of `bytes`. It is `identity` if compression would not help, even if another was requested. */
  coding: Coding;
}

const compress = {
  zstd: (bytes: Buffer) => promisify(zstdCompress)(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 1 } }),
  gzip: (bytes: Buffer) => promisify(gzip)(bytes, { level: 1 }),
};

/** Pages smaller than this, in bytes, are not compressed: it would cost more than it saves. */
const SMALL_BYTES = 1024;

export class PageCache {
  readonly #ready: LRUCache<string, ReadyPage>;
  readonly #building = new Map<string, Promise<ReadyPage>>();
  /** Total size of all compressed pages, before and after compression, in bytes. */
  #plainBytes = 0;
  #compressedBytes = 0;

  constructor(limitBytes: number) {
    this.#ready = new LRUCache({ maxSize: limitBytes, sizeCalculation: ({ bytes }) => Math.max(1, bytes.length) });
  }

  /**
   * Compressed size of all pages so far divided by their uncompressed size, 0 to 1. Null if none has been compressed.
   */
  get ratio(): number | null {
    return this.#plainBytes === 0 ? null : this.#compressedBytes / this.#plainBytes;
  }

  /**
   * Returns the page with this name in this coding. `build` returns the uncompressed bytes; its error rejects all
   * waiting requests.
   */
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
