import { formatStart, type PageStart, type Seq } from '@tidemark/protocol/cursor';
import type { CompactedPages } from '../compaction/compacted-pages.ts';
import type { FeedStore } from '../feed/feed-store.ts';
import type { EntitledSet } from '../routing/filters.ts';
import { type Coding, PageCache, type ReadyPage } from './page-cache.ts';
import type { PageReader } from './page-reader.ts';

/**
 * Serves the ordinary and compacted pages of one feed. A page with a given name never changes. So the cache reads and
 * compresses each page once for all terminals that catch up over the same range.
 */

/** Maximum size of the cached pages, in bytes. */
const CACHE_BYTES = 64 * 1024 * 1024;

interface FeedPagesDeps {
  store: FeedStore;
  reader: PageReader;
  compacted: CompactedPages;
}

/** Identifies a page by epoch, entitled set, start, and target of the pull. */
export interface PageName {
  set: EntitledSet;
  epoch: string;
  start: PageStart;
  target: Seq;
}

export class FeedPages {
  readonly #deps: FeedPagesDeps;
  readonly #cache = new PageCache(CACHE_BYTES);

  constructor(deps: FeedPagesDeps) {
    this.#deps = deps;
  }

  /**
   * Compressed size of all pages so far divided by their uncompressed size, 0 to 1. Null if none has been compressed.
   */
  get compressionRatio(): number | null {
    return this.#cache.ratio;
  }

  /** Returns an ordinary page. Throws epoch_changed, behind_horizon, cursor_ahead, target_invalid. */
  page({ set, epoch, start, target }: PageName, coding: Coding): Promise<ReadyPage> {
    const { store, reader } = this.#deps;
    store.requireRange(epoch, start, target);
    return this.#cache.get(keyOf({ set, epoch, start, target }), coding, () =>
      reader.page(store.row.epoch, set, start, target),
    );
  }

  /**
   * Returns page `start.part` of the compacted transaction from `start.seq` to `target`. `of` holds the totals of all
   * its pages. `key` names the holder of the access key. Throws the errors of {@link page}, squash_building,
   * squash_larger, relay_busy.
   */
  async compactedPage(
    { set, epoch, start, target }: PageName,
    coding: Coding,
    key: string,
  ): Promise<ReadyPage & { of: { changes: number; bytes: number } }> {
    const { store, compacted } = this.#deps;
    store.requireRange(epoch, start, target);
    const range = { epoch: store.row.epoch, set: set.id, scopes: set.scopes, start: start.seq, target };
    const { read, changes, bytes } = compacted.page(range, start.part, key);
    const page = await this.#cache.get(`compacted/${keyOf({ set, epoch, start, target })}`, coding, read);
    return { ...page, of: { changes, bytes } };
  }

  /** Reports whether an earlier compaction from this seq to the head did not make the pages smaller. */
  compactionRefused(set: EntitledSet, start: Seq): boolean {
    const { epoch, head } = this.#deps.store.row;
    return this.#deps.compacted.refused({ epoch, set: set.id, start, target: head });
  }

  close(): Promise<void> {
    return this.#deps.compacted.close();
  }
}

const keyOf = ({ set, epoch, start, target }: PageName) => `${epoch}/${set.id}/${formatStart(start)}/${target}`;
