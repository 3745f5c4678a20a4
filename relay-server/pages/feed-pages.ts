import { formatStart, type PageStart, type Seq } from '@tidemark/protocol/cursor';
import type { CompactedPages } from '../compaction/compacted-pages.ts';
import type { FeedStore } from '../feed/feed-store.ts';
import type { EntitledSet } from '../routing/filters.ts';
import { type Coding, PageCache, type ReadyPage } from './page-cache.ts';
import type { PageReader } from './page-reader.ts';

/**
 * The pages of one feed, ordinary and compacted, ready to send. A page of a name never changes, so each is read and
 * compressed once while it stays in the cache, for a fleet that catches up over the same range.
 */

/** Pages kept ready, bytes. */
const CACHE_BYTES = 64 * 1024 * 1024;

interface FeedPagesDeps {
  store: FeedStore;
  reader: PageReader;
  compacted: CompactedPages;
}

/** Identifies a page: the entitled set, its start, and the target of the pull. */
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

  /** Compressed size of all pages so far by their plain size, 0 to 1; null: none was compressed. */
  get compressionRatio(): number | null {
    return this.#cache.ratio;
  }

  /** Throws epoch_changed, behind_horizon, cursor_ahead, target_invalid. */
  page({ set, epoch, start, target }: PageName, coding: Coding): Promise<ReadyPage> {
    const { store, reader } = this.#deps;
    store.requireRange(epoch, start, target);
    return this.#cache.get(keyOf({ set, epoch, start, target }), coding, () =>
      reader.page(store.row.epoch, set, start, target),
    );
  }

  /**
   * Page `start.part` of the transaction that brings a terminal from `start.seq` to `target` with each row once. `of`: the
   * totals of the pages that it replaces. Throws what {@link page} does, and squash_building, squash_larger.
   */
  async compactedPage(
    { set, epoch, start, target }: PageName,
    coding: Coding,
  ): Promise<ReadyPage & { of: { changes: number; bytes: number } }> {
    const { store, compacted } = this.#deps;
    store.requireRange(epoch, start, target);
    const range = { epoch: store.row.epoch, set: set.id, scopes: set.scopes, start: start.seq, target };
    const { read, changes, bytes } = compacted.page(range, start.part);
    const page = await this.#cache.get(`compacted/${keyOf({ set, epoch, start, target })}`, coding, read);
    return { ...page, of: { changes, bytes } };
  }

  /** Whether compacting from this seq was tried and did not make the pages smaller. */
  compactionRefused(set: EntitledSet, start: Seq): boolean {
    return this.#deps.compacted.refused({ epoch: this.#deps.store.row.epoch, set: set.id, start });
  }

  close(): Promise<void> {
    return this.#deps.compacted.close();
  }
}

const keyOf = ({ set, epoch, start, target }: PageName) => `${epoch}/${set.id}/${formatStart(start)}/${target}`;
