import type { SnapshotManifest } from '@tidemark/protocol/api';
import { type Seq, seq } from '@tidemark/protocol/cursor';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { SnapshotSource } from '@tidemark/table-store/snapshot';
import type { Entitlements } from '../feed/entitlements.ts';
import type { FeedStore } from '../feed/feed-store.ts';
import type { ReadySnapshot } from '../feed/plan.ts';
import type { FeedReader } from '../log/feed-reader.ts';
import { MIRROR_CURSOR_SQL } from '../log/log-format.ts';
import type { EntitledSet, Filters } from '../routing/filters.ts';
import { Router } from '../routing/router.ts';
import { type SnapshotFile, Snapshots } from './snapshots.ts';

/**
 * The snapshots of one feed as its terminals ask for them: which tables, columns and rows a set gets, which snapshot is
 * recent enough, and the error of the last build. A failed build is reported to one request; the next one builds again.
 */

interface FeedSnapshotsDeps {
  feed: string;
  /** The feed's folder, and its database in it. */
  folder: string;
  mirror: string;
  filters: Filters;
  store: FeedStore;
  reader: FeedReader;
  entitlements: Entitlements;
  now: () => number;
  onFailure: (error: TidemarkError) => void;
}

export class FeedSnapshots {
  readonly #deps: FeedSnapshotsDeps;
  readonly #snapshots: Snapshots;
  /** By set, the error of its last build, until a request is answered with it. */
  readonly #faults = new Map<string, TidemarkError>();

  constructor(deps: FeedSnapshotsDeps) {
    this.#deps = deps;
    this.#snapshots = new Snapshots(deps.folder, {
      now: deps.now,
      source: (set) => this.#source(set),
      onFailure: (set, error) => {
        this.#faults.set(set, error);
        deps.onFailure(error);
      },
    });
  }

  /** The newest snapshot of a set, whatever its age; null: none is ready. */
  ready(set: EntitledSet): ReadySnapshot | null {
    const ready = this.#snapshots.ready(set.id, this.#deps.store.row.epoch);
    if (!ready) return null;
    const { rows, bytes, codings } = ready;
    return { rows, bytes, downloadBytes: Math.min(...codings.map((form) => form.bytes)) };
  }

  /**
   * The snapshot to download, not older than `from`. Throws feed_empty, snapshot_building, or the error of the last
   * build.
   */
  current(set: EntitledSet, from: Seq = seq(0)): SnapshotManifest {
    const { epoch, head, horizon, committedAt } = this.#deps.store.row;
    if (committedAt === null) throw new TidemarkError('feed_empty');
    const fault = this.#faults.get(set.id);
    this.#faults.delete(set.id);
    if (fault) throw fault;
    return this.#snapshots.current(
      set.id,
      epoch,
      Math.max(from, horizon),
      (since) => this.#deps.reader.behind(set, seq(since), head).bytes,
    );
  }

  /** The file of a snapshot in a coding. Throws epoch_changed, snapshot_gone. */
  file(set: EntitledSet, epoch: string, at: Seq, coding: 'identity' | 'gzip' | 'zstd'): SnapshotFile {
    this.#deps.store.requireEpoch(epoch);
    const found = this.#snapshots.file(set.id, epoch, at, coding);
    if (!found) throw new TidemarkError('snapshot_gone');
    return found;
  }

  close(): Promise<void> {
    return this.#snapshots.close();
  }

  /** The source of a set's snapshot: each table's part of the mirror. */
  #source(id: string): SnapshotSource {
    const { feed, mirror, filters, reader, entitlements } = this.#deps;
    const set = entitlements.byId(id);
    if (!set) throw new TidemarkError('internal', { detail: `no terminal has the scopes ${id}` });
    const parts = reader.mirrorSchemas().flatMap((schema): [string, SnapshotSource['tables'][string]][] => {
      const filter = filters[schema.name];
      if (!filter) return [];
      const router = new Router(schema, filter, []);
      const { columns, indexes = [] } = router.schema;
      return [[schema.name, { columns: columns.map(({ name }) => name), indexes, ...router.part(set.attributes) }]];
    });
    return { mirror, feed, scopes: id, cursorSql: MIRROR_CURSOR_SQL, tables: Object.fromEntries(parts) };
  }
}
