import { LRUCache } from 'lru-cache';
import type { ReadyPage } from './compression.ts';

/**
 * Encoded answers that never change, by name, which includes the requested coding. Their total size is limited; the least recently used
 * answers are evicted first. An answer that is larger than the limit is not kept.
 */

/**
 * Memory that an entry takes beside its bytes and its name, in bytes. It bounds the number of small answers.
 */
export const ENTRY_BYTES = 1024;

export class ReadyPages {
  readonly #pages: LRUCache<string, ReadyPage>;

  constructor(limitBytes: number) {
    this.#pages = new LRUCache({
      maxSize: limitBytes,
      sizeCalculation: ({ bytes }, name) => bytes.length + name.length + ENTRY_BYTES,
    });
  }

  get(name: string): ReadyPage | undefined {
    return this.#pages.get(name);
  }

  set(name: string, page: ReadyPage): void {
    this.#pages.set(name, page);
  }
}
