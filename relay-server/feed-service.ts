import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type {
  BatchAnswer,
  RelayStatus,
  SessionAnswer,
  SessionRequest,
  SnapshotManifest,
  TableList,
  TransactionList,
} from '@tidemark/protocol/api.ts';
import { type Cursor, formatStart, type PageStart, type Seq, seq } from '@tidemark/protocol/cursor.ts';
import { TidemarkError } from '@tidemark/protocol/errors.ts';
import { EVERYONE, PROTOCOL_VERSION } from '@tidemark/protocol/page.ts';
import { Comparer } from './compare/comparer.ts';
import { Snapshots } from './snapshots/snapshots.ts';
import { FeedReader } from './store/feed-reader.ts';
import { FeedWriter } from './store/feed-writer.ts';
import type { Heartbeat, Ingested } from './store/ingest.ts';
import type { FeedRow } from './store/log-format.ts';
import { type Coding, PageCache, type ReadyPage } from './store/page-cache.ts';
import type { Retention } from './store/retention.ts';

/** Pages kept ready, for a fleet that catches up over the same range. */
const CACHE_BYTES = 64 * 1024 * 1024;
/** A feed that was not heard from for this long is not connected. Heartbeats come every 5 s. */
const CONNECTED_MS = 20_000;
/** How often it is looked what retention drops. */
const RETENTION_MS = 60_000;
/** Guess of a snapshot's size before one was built, bytes a row. */
const ROW_GUESS_BYTES = 120;

/** What relay.yaml says of a feed. */
export interface Published {
  /** Tables by name; null: all that have a key. */
  publish: string[] | null;
  retention: Retention;
}

export interface FeedServiceDeps {
  now: () => number;
  log: (event: string, fields: Record<string, unknown>) => void;
}

interface Session {
  id: string;
  batch: number;
  answer: BatchAnswer | null;
  busy: boolean;
}

/** One feed of the relay: takes its batches, answers its terminals. */
export class FeedService {
  readonly name: string;
  readonly #deps: FeedServiceDeps;
  readonly #relay: RelayStatus['relay'];
  readonly #published: Published;
  readonly #writer: FeedWriter;
  readonly #reader: FeedReader;
  readonly #cache = new PageCache(CACHE_BYTES);
  readonly #snapshots: Snapshots;
  /** Reads snapshots for terminals that compare. */
  readonly comparer = new Comparer();
  readonly #waiters = new Set<() => void>();
  #feed: FeedRow;
  #session: Session | null = null;
  #heardAt: number | null = null;
  #lagMs: number | null = null;
  #snapshotFault: TidemarkError | null = null;
  #retention: ReturnType<typeof setTimeout> | undefined;

  private constructor(
    name: string,
    folder: string,
    published: Published,
    relay: RelayStatus['relay'],
    writer: FeedWriter,
    deps: FeedServiceDeps,
  ) {
    const file = path.join(folder, 'feed.sqlite');
    this.name = name;
    this.#deps = deps;
    this.#relay = relay;
    this.#published = published;
    this.#writer = writer;
    this.#reader = new FeedReader(file, name);
    this.#feed = this.#reader.feed();
    this.#snapshots = new Snapshots(name, folder, file, (error) => {
      this.#snapshotFault = error;
      deps.log('snapshot-failed', { feed: name, code: error.code, detail: error.message });
    });
  }

  /** Opens or creates the feed's store under `data`. Throws db_* or disk_full. */
  static async open(
    name: string,
    data: string,
    published: Published,
    relay: RelayStatus['relay'],
    deps: FeedServiceDeps,
  ): Promise<FeedService> {
    const folder = path.join(data, name);
    mkdirSync(folder, { recursive: true });
    const writer = new FeedWriter(path.join(folder, 'feed.sqlite'));
    await writer.reset();
    const service = new FeedService(name, folder, published, relay, writer, deps);
    await service.#dropOldest();
    return service;
  }

  /** Drops what retention does not keep, step by step: batches go between. */
  async #dropOldest(): Promise<void> {
    try {
      for (let more = true; more; ) {
        const dropped = await this.#writer.dropOldest(this.#published.retention, this.#deps.now());
        if (dropped.horizon > this.#feed.horizon) this.#feed = { ...this.#feed, horizon: dropped.horizon };
        more = dropped.more;
      }
    } catch (error) {
      // Nothing was dropped; it is tried again.
      this.#deps.log('retention-failed', { feed: this.name, error: String(error) });
    }
    this.#retention = setTimeout(() => void this.#dropOldest(), RETENTION_MS).unref();
  }

  /** Answers all who wait, and closes the store; what was not committed is dropped. */
  async close(): Promise<void> {
    this.release();
    clearTimeout(this.#retention);
    await this.comparer.close();
    await this.#snapshots.close();
    this.#reader.close();
    await this.#writer.close();
  }

  /** Answers every long poll now. */
  release(): void {
    for (const wake of [...this.#waiters]) wake();
  }

  get head(): FeedRow {
    return this.#feed;
  }

  get connected(): boolean {
    return this.#heardAt !== null && this.#deps.now() - this.#heardAt < CONNECTED_MS;
  }

  get lagMs(): number | null {
    return this.#lagMs;
  }

  // --- the feed's side

  async session(request: SessionRequest): Promise<SessionAnswer> {
    const session: Session = { id: randomUUID(), batch: 0, answer: null, busy: false };
    this.#session = session;
    const state = await this.#writer.session(`${request.source.kind} ${request.source.id}`);
    this.#feed = state.feed;
    this.#deps.log('session', {
      feed: this.name,
      source: request.source.kind,
      version: request.version,
      head: state.feed.head,
    });
    return {
      session: session.id,
      epoch: state.feed.epoch,
      head: state.feed.head,
      position: state.feed.position,
      publish: this.#published.publish?.map((name) => ({ name, at: 'relay.yaml' })) ?? null,
      tables: state.tables.map(({ id, schema }) => ({ id, schema })),
      nextTableId: state.feed.nextTableId,
    };
  }

  /** Takes a batch; answers when what it ends is on disk. */
  async batch(sessionId: string, number: number, bytes: Uint8Array<ArrayBuffer>): Promise<BatchAnswer> {
    const session = this.#session;
    if (!session) throw new TidemarkError('session_unknown');
    if (session.id !== sessionId) throw new TidemarkError('session_superseded');
    if (number === session.batch && session.answer) return session.answer;
    if (session.busy || number !== session.batch + 1) {
      throw new TidemarkError('batch_out_of_order', { detail: `number ${number} instead of ${session.batch + 1}` });
    }
    session.busy = true;
    try {
      const ingested = await this.#writer.batch(bytes);
      session.batch = number;
      session.answer = { head: ingested.feed.head, position: ingested.feed.position };
      this.#took(ingested);
      return session.answer;
    } catch (error) {
      // What was open is rolled back: the feed begins a new session and sends it again.
      if (this.#session === session) this.#session = null;
      throw error;
    } finally {
      session.busy = false;
    }
  }

  #took(ingested: Ingested): void {
    const moved = ingested.feed.head !== this.#feed.head;
    this.#feed = ingested.feed;
    this.#heardAt = this.#deps.now();
    this.#lagMs = this.#lagAfter(ingested.heartbeat, ingested.readTo);
    if (moved) this.release();
  }

  /** A heartbeat at the log's end is a fact; while transactions stream, the newest one's age is how far the feed is behind. */
  #lagAfter(heartbeat: Heartbeat | null, readTo: string | null): number | null {
    if (heartbeat?.current) return 0;
    const newest = readTo ?? this.#feed.committedAt;
    if (newest === null) return null;
    const clock = heartbeat ? Date.parse(heartbeat.masterTime) : this.#deps.now();
    return Math.max(0, clock - Date.parse(newest));
  }

  // --- the terminals' side

  status(cursor: Cursor | null): RelayStatus {
    const { epoch, head, horizon, committedAt } = this.#feed;
    const hasBase = committedAt !== null;
    return {
      protocol: PROTOCOL_VERSION,
      relay: this.#relay,
      now: new Date(this.#deps.now()).toISOString(),
      head: hasBase ? { epoch, seq: head, committedAt } : null,
      horizon,
      keepsUntil: null,
      ...this.#plan(hasBase, cursor),
      feed: {
        connected: this.connected,
        heardAt: this.#heardAt === null ? null : new Date(this.#heardAt).toISOString(),
        lagMs: this.#lagMs,
      },
    };
  }

  #plan(hasBase: boolean, cursor: Cursor | null): Pick<RelayStatus, 'behind' | 'plan'> {
    const { epoch, head, horizon } = this.#feed;
    if (!hasBase) return { behind: null, plan: { by: 'none' } };
    const reason =
      cursor === null
        ? 'first'
        : cursor.epoch !== epoch
          ? 'epoch_changed'
          : cursor.seq > head
            ? 'cursor_ahead'
            : cursor.seq < horizon
              ? 'behind_horizon'
              : null;
    if (reason !== null || cursor === null)
      return {
        behind: null,
        plan: { by: 'snapshot', scopes: EVERYONE, reason: reason ?? 'first', ...this.#snapshotSize() },
      };
    const behind = this.#reader.behind(cursor.seq, head);
    if (behind.transactions === 0) return { behind, plan: { by: 'none' } };
    const copy = this.#snapshotSize();
    // Sizes before compression on both sides: pages and copies compress about alike.
    if (behind.bytes > copy.bytes)
      return { behind, plan: { by: 'snapshot', scopes: EVERYONE, reason: 'cheaper', ...copy } };
    return { behind, plan: { by: 'pages', scopes: EVERYONE, bytes: behind.bytes, squashed: false } };
  }

  #snapshotSize(): { rows: number; tables: number; bytes: number } {
    const size = this.#reader.size();
    const ready = this.#snapshots.ready(this.#feed.epoch);
    const perRow = ready && ready.rows > 0 ? ready.bytes / ready.rows : ROW_GUESS_BYTES;
    return { ...size, bytes: Math.ceil(size.rows * perRow) };
  }

  /** Resolves when the head is past `after`, at the time limit, or when `signal` says that nobody waits any more. */
  waitFor(after: Seq, timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (this.#feed.head > after || timeoutMs === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#waiters.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, timeoutMs);
      this.#waiters.add(done);
      signal.addEventListener('abort', done);
    });
  }

  /** The page of this name. Throws when it does not exist: epoch_changed, behind_horizon, cursor_ahead, target_invalid. */
  page(epoch: string, start: PageStart, target: Seq, coding: Coding): Promise<ReadyPage> {
    const { head, horizon } = this.#feed;
    this.#requireEpoch(epoch);
    if (start.seq < horizon) throw new TidemarkError('behind_horizon');
    if (start.seq > head) throw new TidemarkError('cursor_ahead');
    if (target > head || target < start.seq) throw new TidemarkError('target_invalid', { target });
    return this.#cache.get(`${epoch}/${formatStart(start)}/${target}`, coding, () =>
      this.#reader.page(this.#feed.epoch, start, target),
    );
  }

  transactions(epoch: string, after: Seq, limit: number): TransactionList {
    this.#requireEpoch(epoch);
    return { transactions: this.#reader.transactions(after, limit), head: this.#feed.head };
  }

  tables(cursor: Cursor | null): TableList {
    const known =
      cursor !== null && cursor.epoch === this.#feed.epoch && cursor.seq <= this.#feed.head ? cursor.seq : null;
    return { tables: this.#reader.tables(known) };
  }

  /** The snapshot to download, not from before `from`. Throws feed_empty, snapshot_building, or what the last build failed with. */
  snapshot(from = seq(0)): SnapshotManifest {
    const { epoch, head, horizon, committedAt } = this.#feed;
    if (committedAt === null) throw new TidemarkError('feed_empty');
    const fault = this.#snapshotFault;
    this.#snapshotFault = null;
    if (fault) throw fault;
    return this.#snapshots.current(
      epoch,
      Math.max(from, horizon),
      (since) => this.#reader.behind(seq(since), head).bytes,
    );
  }

  snapshotFile(
    epoch: string,
    at: number,
    coding: 'identity' | 'gzip' | 'zstd',
  ): { file: string; bytes: number; sha256: string } {
    this.#requireEpoch(epoch);
    const found = this.#snapshots.file(epoch, at, coding);
    if (!found) throw new TidemarkError('snapshot_gone');
    return found;
  }

  #requireEpoch(epoch: string): void {
    if (epoch !== this.#feed.epoch) throw new TidemarkError('epoch_changed');
  }
}
