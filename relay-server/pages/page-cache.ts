import { promisify } from 'node:util';
import { constants, gzip, zstdCompress } from 'node:zlib';

/** Content codings that the relay offers, the dearest to the reader's taste first. */
export const CODINGS = ['zstd', 'gzip', 'identity'] as const;
export type Coding = (typeof CODINGS)[number];

const compress = {
  zstd: (bytes: Buffer) => promisify(zstdCompress)(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 1 } }),
  gzip: (bytes: Buffer) => promisify(gzip)(bytes, { level: 1 }),
};

/** Below this size compression costs more than it saves. */
const SMALL_BYTES = 1024;

export interface ReadyPage {
  bytes: Buffer;
  coding: Coding;
}

/** Pages that never change, as they are sent, newest use last; bounded in bytes. Each is made and compressed once. */
export class PageCache {
  readonly #limit: number;
  readonly #pages = new Map<string, Promise<ReadyPage>>();
  readonly #sizes = new Map<string, number>();
  #bytes = 0;
  /** Of all pages that were compressed: bytes before and after. */
  #plain = 0;
  #compressed = 0;

  constructor(limitBytes: number) {
    this.#limit = limitBytes;
  }

  /** The page of this name in this coding; `make` gives its bytes. */
  get(name: string, coding: Coding, make: () => Buffer | Promise<Buffer>): Promise<ReadyPage> {
    const key = `${coding} ${name}`;
    const cached = this.#pages.get(key);
    if (cached) {
      this.#pages.delete(key);
      this.#pages.set(key, cached);
      return cached;
    }
    const page = this.#make(name, coding, make);
    this.#pages.set(key, page);
    page.then(
      ({ bytes }) => this.#admit(key, bytes.length),
      () => this.#pages.delete(key),
    );
    return page;
  }

  async #make(name: string, coding: Coding, make: () => Buffer | Promise<Buffer>): Promise<ReadyPage> {
    if (coding === 'identity') return { bytes: await make(), coding };
    const plain = this.#pages.get(`identity ${name}`);
    const bytes = plain ? (await plain).bytes : await make();
    if (bytes.length < SMALL_BYTES) return { bytes, coding: 'identity' };
    const compressed = await compress[coding](bytes);
    this.#plain += bytes.length;
    this.#compressed += compressed.length;
    return { bytes: compressed, coding };
  }

  /** About what compression leaves of a page; null: none was compressed yet. */
  get ratio(): number | null {
    return this.#plain === 0 ? null : this.#compressed / this.#plain;
  }

  #admit(key: string, bytes: number): void {
    this.#sizes.set(key, bytes);
    this.#bytes += bytes;
    for (const oldest of this.#pages.keys()) {
      if (this.#bytes <= this.#limit || oldest === key) break;
      this.#bytes -= this.#sizes.get(oldest) ?? 0;
      this.#sizes.delete(oldest);
      this.#pages.delete(oldest);
    }
  }
}
