import { formatStart, type PageStart, type Seq } from '@tidemark/protocol/cursor';
import type { CompactedPages } from '../compaction/compacted-pages.ts';
import type { FeedStore } from '../feed/feed-store.ts';
import type { EntitledSet, Filters } from '../routing/filters.ts';
import type { Coding, ReadyPage } from './compression.ts';
import type { Asker, PageQueue } from './queue/page-queue.ts';
import type { HeldPage } from './queue/unread-answers.ts';
import { PageThread } from './thread/page-thread.ts';

/**
 * Serves the ordinary and compacted pages of one feed. A page with a given name never changes. So the page thread reads
 * and compresses each page once for all terminals that catch up over the same range. The caller must release each page
 * that it receives.
 */

interface FeedPagesDeps {
  feed: string;
  /** Path of the feed's database. */
  file: string;
  filters: Filters;
  store: FeedStore;
  compacted: CompactedPages;
  /** The queue of the relay, which all feeds share. */
  queue: PageQueue;
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
  readonly #thread: PageThread;

  constructor(deps: FeedPagesDeps) {
    this.#deps = deps;
    const { feed, file, filters } = deps;
    this.#thread = new PageThread({ feed, file, filters });
  }

  /**
   * Compressed size of all pages so far divided by their uncompressed size, 0 to 1. Null if none has been compressed.
   */
  get compressionRatio(): number | null {
    return this.#thread.ratio;
  }

  /**
   * Returns an ordinary page, or null if `asker.signal` is aborted first. Throws epoch_changed, behind_horizon,
   * cursor_ahead, target_invalid, relay_busy.
   */
  async page(name: PageName, coding: Coding, asker: Asker): Promise<HeldPage | null> {
    const { store } = this.#deps;
    const { set, epoch, start, target } = name;
    store.requireRange(epoch, start, target);
    // The thread checks the range again, because retention may move the horizon while the request waits.
    return this.#get(keyOf(name), coding, asker, (plain) =>
      plain
        ? this.#thread.compress(new Uint8Array(plain.bytes), coding)
        : this.#thread.page({ epoch: store.row.epoch, set: { id: set.id, scopes: set.scopes }, start, target, coding }),
    );
  }

  /**
   * Returns page `start.part` of the compacted transaction from `start.seq` to `target`. `of` holds the totals of all
   * its pages. Returns null if `asker.signal` is aborted first. Throws the errors of {@link page}, squash_building,
   * squash_larger.
   */
  async compactedPage(
    name: PageName,
    coding: Coding,
    asker: Asker,
  ): Promise<(HeldPage & { of: { changes: number; bytes: number } }) | null> {
    const { store, compacted } = this.#deps;
    const { set, epoch, start, target } = name;
    store.requireRange(epoch, start, target);
    const range = { epoch: store.row.epoch, set: set.id, scopes: set.scopes, start: start.seq, target };
    const kept = () => compacted.page(range, start.part, asker.key);
    const { changes, bytes } = kept();
    // The file may be removed while the request waits, so its turn looks for it again.
    const held = await this.#get(`compacted/${keyOf(name)}`, coding, asker, async () =>
      this.#thread.compress(kept().read(), coding),
    );
    return held && { ...held, of: { changes, bytes } };
  }

  /** Reports whether an earlier compaction from this seq to the head did not make the pages smaller. */
  compactionRefused(set: EntitledSet, start: Seq): boolean {
    const { epoch, head } = this.#deps.store.row;
    return this.#deps.compacted.refused({ epoch, set: set.id, start, target: head });
  }

  /** `build` receives the uncompressed page if it is ready. Pages and keys of different feeds never share a name. */
  #get(
    name: string,
    coding: Coding,
    { key, signal }: Asker,
    build: (plain: ReadyPage | undefined) => Promise<ReadyPage>,
  ): Promise<HeldPage | null> {
    const { feed, queue } = this.#deps;
    const asker = { key: `${feed}/${key}`, signal };
    return queue.get(`${coding} ${feed}/${name}`, asker, () => build(queue.ready.get(`identity ${feed}/${name}`)));
  }

  async close(): Promise<void> {
    await this.#deps.compacted.close();
    await this.#thread.close();
  }
}

const keyOf = ({ set, epoch, start, target }: PageName) => `${epoch}/${set.id}/${formatStart(start)}/${target}`;
