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
import type { FeedQueue } from '../threads/feed-queue.ts';
import type { SnapshotFile } from './snapshot-folder.ts';
import { Snapshots } from './snapshots.ts';

/**
 * Serves the snapshots of one feed. It determines the tables, columns and rows of a set, and whether a snapshot is
 * recent enough. It reports a failed build to one request; the next request starts a new build.
 */

interface FeedSnapshotsDeps {
  feed: string;
  /** The feed's folder, and the path of its database. */
  folder: string;
  mirror: string;
  filters: Filters;
  store: FeedStore;
  reader: FeedReader;
  entitlements: Entitlements;
  queue: FeedQueue;
  now: () => number;
  onFailure: (error: TidemarkError) => void;
}

export class FeedSnapshots {
  readonly #deps: FeedSnapshotsDeps;
  readonly #snapshots: Snapshots;
  /** By set, the error of its last build. Removed once a request has received it. */
  readonly #faults = new Map<string, TidemarkError>();

  constructor(deps: FeedSnapshotsDeps) {
    this.#deps = deps;
    this.#snapshots = new Snapshots(deps.folder, {
      now: deps.now,
      mirror: deps.mirror,
      queue: deps.queue,
      source: (set) => this.#source(set),
      onFailure: (set, error) => {
        this.#faults.set(set, error);
        deps.onFailure(error);
      },
    });
  }

  /** Returns the newest snapshot of a set, whatever its age, or null if none is ready. */
  ready(set: EntitledSet): ReadySnapshot | null {
    const ready = this.#snapshots.ready(set.id, this.#deps.store.row.epoch);
    if (!ready) return null;
    const { rows, bytes, codings } = ready;
    return { rows, bytes, downloadBytes: Math.min(...codings.map((form) => form.bytes)) };
  }

  /**
   * Returns the snapshot to download, at the seq `from` or later. `key` names the holder of the access key. Throws
   * feed_empty, cursor_ahead, snapshot_building, relay_busy, or the error of the last build.
   */
  current(set: EntitledSet, key: string, from: Seq = seq(0)): SnapshotManifest {
    const { epoch, head, horizon, committedAt } = this.#deps.store.row;
    if (committedAt === null) throw new TidemarkError('feed_empty');
    // No build can reach this seq, so each request would start another one.
    if (from > head) throw new TidemarkError('cursor_ahead');
    const fault = this.#faults.get(set.id);
    this.#faults.delete(set.id);
    // A terminal's user would read disk_full as a message about their own disk.
    if (fault?.code === 'disk_full') throw new TidemarkError('relay_busy', {}, fault);
    if (fault) throw fault;
    return this.#snapshots.current(
      set.id,
      epoch,
      Math.max(from, horizon),
      key,
      (since) => this.#deps.reader.behind(set, seq(since), head).bytes,
    );
  }

  /** Returns the file of a snapshot in a coding. Throws epoch_changed, snapshot_gone. */
  file(set: EntitledSet, epoch: string, at: Seq, coding: 'identity' | 'gzip' | 'zstd'): SnapshotFile {
    this.#deps.store.requireEpoch(epoch);
    const found = this.#snapshots.file(set.id, epoch, at, coding);
    if (!found) throw new TidemarkError('snapshot_gone');
    return found;
  }

  /** Runs a download of a snapshot, which is not removed meanwhile. Throws epoch_changed, snapshot_gone. */
  async download(
    set: EntitledSet,
    epoch: string,
    at: Seq,
    coding: 'identity' | 'gzip' | 'zstd',
    send: (file: SnapshotFile) => Promise<void>,
  ): Promise<void> {
    const file = this.file(set, epoch, at, coding);
    await this.#snapshots.downloading(set.id, epoch, at, () => send(file));
  }

  close(): Promise<void> {
    return this.#snapshots.close();
  }

  /** Returns the source of a set's snapshot: the part of each table that the set contains. */
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
