import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type {
  BatchAnswer,
  BehindBody,
  RelayStatusBody,
  SessionAnswer,
  SessionRequest,
  SnapshotManifest,
  SnapshotReason,
  TableListBody,
  TransactionListBody,
} from '@tidemark/protocol/api';
import { type Cursor, formatStart, type PageStart, type Seq, seq } from '@tidemark/protocol/cursor';
import { TidemarkError } from '@tidemark/protocol/errors';
import { PROTOCOL_VERSION } from '@tidemark/protocol/page';
import type { SnapshotSource } from '@tidemark/table-store/snapshot';
import { type SquashedPage, Squashes } from '../compaction/compacted-pages.ts';
import type { FeedConfig } from '../config/relay-config.ts';
import { Digester } from '../digests/digester.ts';
import { FeedWriter } from '../ingest/feed-writer.ts';
import type { Heartbeat, Ingested } from '../ingest/writer-calls.ts';
import { FeedReader } from '../log/feed-reader.ts';
import { type FeedRow, MIRROR_STANDING_SQL } from '../log/log-format.ts';
import { type Coding, PageCache, type ReadyPage } from '../pages/page-cache.ts';
import { type Attributes, type EntitledSet, entitledSet, Router } from '../routing/filters.ts';
import { Snapshots } from '../snapshots/snapshots.ts';

/** Pages kept ready, for a fleet that catches up over the same range. */
const CACHE_BYTES = 64 * 1024 * 1024;
/** A feed that was not heard from for this long is not connected. Heartbeats come every 5 s. */
const CONNECTED_MS = 20_000;
/** How often it is looked what retention drops. */
const RETENTION_MS = 60_000;
/** Guess of a snapshot's size before one was built, bytes a row. */
const ROW_GUESS_BYTES = 120;
/** Guess of what compression leaves, before anything was compressed. */
const GUESSED_RATIO = 0.3;
/** A backlog of this size as pages, bytes, is worth a look at whether rows were changed several times; one beyond is too dear to build. */
const SQUASH_LEAST_BYTES = 1024 * 1024;
const SQUASH_MOST_BYTES = 512 * 1024 * 1024;
/** A backlog below this size is never dearer than a copy, bytes: none is reckoned. */
const SMALL_BYTES = 64 * 1024;
const DAY_MS = 86_400_000;
/** The last moment that a date can say, ms. */
const MAX_TIME = 8.64e15;

export interface FeedServiceDeps {
  now: () => number;
  log: (event: string, fields: Record<string, unknown>) => void;
}

/** Someone who waits for news in some scopes. */
interface Waiter {
  scopes: Set<string>;
  wake: () => void;
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
  readonly #relay: RelayStatusBody['relay'];
  readonly #config: FeedConfig;
  readonly #writer: FeedWriter;
  readonly #reader: FeedReader;
  readonly #cache = new PageCache(CACHE_BYTES);
  readonly #snapshots: Snapshots;
  /** Reads snapshots for terminals that compare. */
  readonly digester = new Digester();
  readonly #sets = new Map<string, EntitledSet>();
  readonly #waiters = new Set<Waiter>();
  readonly #squashes: Squashes;
  #feed: FeedRow;
  #session: Session | null = null;
  #heardAt: number | null = null;
  #lagMs: number | null = null;
  /** When the relay last held all that the master had, by the master's clock, ms. */
  #wholeAt = 0;
  readonly #snapshotFaults = new Map<string, TidemarkError>();
  #retention: ReturnType<typeof setTimeout> | undefined;

  private constructor(
    name: string,
    folder: string,
    config: FeedConfig,
    relay: RelayStatusBody['relay'],
    writer: FeedWriter,
    deps: FeedServiceDeps,
  ) {
    const file = path.join(folder, 'feed.sqlite');
    this.name = name;
    this.#deps = deps;
    this.#relay = relay;
    this.#config = config;
    this.#writer = writer;
    this.#reader = new FeedReader(file, name, config.filters);
    this.#feed = this.#reader.feed();
    this.#snapshots = new Snapshots(folder, {
      now: deps.now,
      source: (set) => this.#snapshotSource(file, set),
      failed: (set, error) => {
        this.#snapshotFaults.set(set, error);
        deps.log('snapshot-failed', { feed: name, code: error.code, detail: error.message });
      },
    });
    this.#squashes = new Squashes(name, folder, file, config.filters, deps.now, (error) =>
      deps.log('squash-failed', { feed: name, code: error.code, detail: error.message }),
    );
  }

  /** Opens or creates the feed's store under `data`. Throws db_*, disk_full, or config_invalid when a filter does not fit its table. */
  static async open(
    name: string,
    data: string,
    config: FeedConfig,
    relay: RelayStatusBody['relay'],
    deps: FeedServiceDeps,
  ): Promise<FeedService> {
    const folder = path.join(data, name);
    mkdirSync(folder, { recursive: true });
    const writer = new FeedWriter(path.join(folder, 'feed.sqlite'), config.filters);
    try {
      await writer.open();
    } catch (error) {
      await writer.close();
      throw error;
    }
    const service = new FeedService(name, folder, config, relay, writer, deps);
    await service.#dropOldest();
    return service;
  }

  /** Drops what retention does not keep, step by step: batches go between. */
  async #dropOldest(): Promise<void> {
    try {
      for (let more = true; more; ) {
        const dropped = await this.#writer.dropOldest(this.#config.retention, this.#deps.now());
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
    await this.digester.close();
    await this.#snapshots.close();
    await this.#squashes.close();
    this.#reader.close();
    await this.#writer.close();
  }

  /** Answers every long poll now. */
  release(): void {
    for (const { wake } of [...this.#waiters]) wake();
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
    const state = await this.#writer.session(`${request.source.kind} ${request.source.id}`, request.base);
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
      publish: this.#config.publish,
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
    this.#lagMs = this.#lagAfter(ingested.heartbeat);
    if (!moved) return;
    // Whoever gets nothing of it goes on waiting.
    for (const { scopes, wake } of [...this.#waiters]) if (ingested.scopes.some((scope) => scopes.has(scope))) wake();
  }

  /** How long ago the relay held all that the master had: at a heartbeat at the log's end, or by its newest transaction. What is read and not committed counts for nothing. */
  #lagAfter(heartbeat: Heartbeat | null): number | null {
    if (heartbeat?.current) {
      this.#wholeAt = Date.parse(heartbeat.masterTime);
      return 0;
    }
    const { committedAt } = this.#feed;
    if (committedAt === null) return null;
    const clock = heartbeat ? Date.parse(heartbeat.masterTime) : this.#deps.now();
    return Math.max(0, clock - Math.max(Date.parse(committedAt), this.#wholeAt));
  }

  // --- the terminals' side

  /** What a terminal of these attributes is entitled to. */
  setOf(attributes: Attributes): EntitledSet {
    const name = JSON.stringify(attributes);
    let set = this.#sets.get(name);
    if (!set) {
      set = entitledSet(this.#config.filters, attributes);
      this.#sets.set(name, set);
    }
    return set;
  }

  /** `holds`: the set of scopes that the terminal's replica holds. */
  status(set: EntitledSet, cursor: Cursor | null, holds: string): RelayStatusBody {
    const { epoch, head, horizon, committedAt, basedAt, basedWhy } = this.#feed;
    const hasBase = committedAt !== null;
    const { behind, plan } = this.#plan(set, hasBase, cursor, holds);
    return {
      protocol: PROTOCOL_VERSION,
      relay: this.#relay,
      now: new Date(this.#deps.now()).toISOString(),
      head: hasBase ? { epoch, seq: head, committedAt } : null,
      horizon,
      keepsUntil: cursor && behind ? this.#keepsUntil(cursor.seq, behind) : null,
      behind,
      plan,
      feed: {
        connected: this.connected,
        heardAt: this.#heardAt === null ? null : new Date(this.#heardAt).toISOString(),
        lagMs: this.#lagMs,
        ...(basedAt === null || basedWhy === null ? {} : { base: { at: basedAt, why: basedWhy } }),
      },
    };
  }

  #plan(
    set: EntitledSet,
    hasBase: boolean,
    cursor: Cursor | null,
    holds: string,
  ): Pick<RelayStatusBody, 'behind' | 'plan'> {
    const { epoch, head, horizon } = this.#feed;
    if (!hasBase) return { behind: null, plan: { by: 'none' } };
    const scopes = set.id;
    if (cursor === null) return { behind: null, plan: this.#copy(set, 'first') };
    if (cursor.epoch !== epoch) return { behind: null, plan: this.#copy(set, 'epoch_changed') };
    if (cursor.seq > head) return { behind: null, plan: this.#copy(set, 'cursor_ahead') };
    if (holds !== scopes) return { behind: null, plan: { by: 'difference', scopes, ...this.#copySize(set) } };
    if (cursor.seq < horizon) return { behind: null, plan: this.#copy(set, 'behind_horizon') };
    const behind = this.#reader.behind(set, cursor.seq, head);
    if (cursor.seq === head) return { behind, plan: { by: 'none' } };
    const squashed =
      behind.transactions > 1 &&
      behind.bytes >= SQUASH_LEAST_BYTES &&
      behind.bytes <= SQUASH_MOST_BYTES &&
      !this.#squashes.refused({ epoch, set: scopes, start: cursor.seq });
    const ratio = this.#ratio(set);
    const replay = Math.ceil(behind.bytes * ratio);
    if (behind.bytes <= SMALL_BYTES) return { behind, plan: { by: 'pages', scopes, bytes: replay, squashed } };
    const each = behind.bytes / Math.max(1, behind.changes);
    const bytes = squashed ? Math.min(replay, Math.ceil(this.#changedRows(set, cursor.seq) * each * ratio)) : replay;
    const copy = this.#copySize(set, each);
    if (bytes > copy.bytes) return { behind, plan: { by: 'snapshot', scopes, reason: 'cheaper', ...copy } };
    return { behind, plan: { by: 'pages', scopes, bytes, squashed } };
  }

  #copy(set: EntitledSet, reason: SnapshotReason): RelayStatusBody['plan'] {
    return { by: 'snapshot', scopes: set.id, reason, ...this.#copySize(set) };
  }

  /** `rowBytes`: what a row may weigh, where no copy tells. */
  #copySize(set: EntitledSet, rowBytes = ROW_GUESS_BYTES): { rows: number; tables: number; bytes: number } {
    const size = this.#reader.size(set);
    const ready = this.#snapshots.ready(set.id, this.#feed.epoch);
    const perRow =
      ready && ready.rows > 0 ? downloadOf(ready) / ready.rows : Math.max(rowBytes, ROW_GUESS_BYTES) * this.#ratio(set);
    return { ...size, bytes: Math.ceil(size.rows * perRow) };
  }

  /** What compression leaves: of pages so far, or of this set's copy, or as a guess. */
  #ratio(set: EntitledSet): number {
    const ready = this.#snapshots.ready(set.id, this.#feed.epoch);
    return this.#cache.ratio ?? (ready ? downloadOf(ready) / ready.bytes : GUESSED_RATIO);
  }

  /** At most so many rows changed after a seq: each of a table's changes is of another row, or all its rows changed. */
  #changedRows(set: EntitledSet, after: Seq): number {
    return this.#reader.tables(set, after).reduce((sum, { rows, waiting }) => sum + Math.min(waiting ?? 0, rows), 0);
  }

  /** When what lies after a seq will no longer be kept whole: by its age, or because the log, at its present rate, is too large. */
  #keepsUntil(after: Seq, { oldestAt }: BehindBody): string | null {
    if (oldestAt === null) return null;
    const { days, megabytes } = this.#config.retention;
    let until = Date.parse(oldestAt) + days * DAY_MS;
    const { oldest, newest } = this.#reader.logSpan();
    if (megabytes !== null && oldest && newest) {
      const kept = newest.bytes - oldest.bytes;
      const spanMs = Date.parse(newest.committedAt) - Date.parse(oldest.committedAt);
      const lacks = newest.bytes - this.#reader.logBytes(after);
      const room = Math.max(0, megabytes * 1e6 - lacks);
      if (kept > 0 && spanMs > 0) until = Math.min(until, this.#deps.now() + (room * spanMs) / kept);
    }
    return Number.isFinite(until) && until < MAX_TIME ? new Date(until).toISOString() : null;
  }

  /** Resolves when the set's scopes have news after `after`, at the time limit, or when `signal` says that nobody waits any more. */
  waitFor(set: EntitledSet, after: Seq, timeoutMs: number, signal: AbortSignal): Promise<void> {
    const { head } = this.#feed;
    if (timeoutMs === 0 || after > head || this.#reader.behind(set, after, head).transactions > 0)
      return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const waiter: Waiter = { scopes: new Set(set.scopes), wake: done };
      const timer = setTimeout(done, timeoutMs);
      this.#waiters.add(waiter);
      signal.addEventListener('abort', done);
    });
  }

  /** The page of this name. Throws when it does not exist: epoch_changed, behind_horizon, cursor_ahead, target_invalid. */
  page(set: EntitledSet, epoch: string, start: PageStart, target: Seq, coding: Coding): Promise<ReadyPage> {
    this.#requireRange(epoch, start, target);
    return this.#cache.get(`${epoch}/${set.id}/${formatStart(start)}/${target}`, coding, () =>
      this.#reader.page(this.#feed.epoch, set, start, target),
    );
  }

  /**
   * The page that follows `start.part` pages of the transaction which brings a terminal from `start.seq` to `target`,
   * each row once. Throws what {@link page} does, and squash_building, squash_larger.
   */
  async squashedPage(
    set: EntitledSet,
    epoch: string,
    start: PageStart,
    target: Seq,
    coding: Coding,
  ): Promise<ReadyPage & { of: Omit<SquashedPage, 'read'> }> {
    this.#requireRange(epoch, start, target);
    const range = { epoch: this.#feed.epoch, set: set.id, scopes: set.scopes, start: start.seq, target };
    const { read, ...of } = this.#squashes.page(range, start.part);
    const name = `squashed/${epoch}/${set.id}/${formatStart(start)}/${target}`;
    return { ...(await this.#cache.get(name, coding, read)), of };
  }

  transactions(set: EntitledSet, epoch: string, after: Seq, limit: number): TransactionListBody {
    this.#requireEpoch(epoch);
    return { transactions: this.#reader.transactions(set, after, limit), head: this.#feed.head };
  }

  tables(set: EntitledSet, cursor: Cursor | null): TableListBody {
    const known =
      cursor !== null && cursor.epoch === this.#feed.epoch && cursor.seq <= this.#feed.head ? cursor.seq : null;
    return { tables: this.#reader.tables(set, known) };
  }

  /** The snapshot to download, not from before `from`. Throws feed_empty, snapshot_building, or what the last build failed with. */
  snapshot(set: EntitledSet, from = seq(0)): SnapshotManifest {
    const { epoch, head, horizon, committedAt } = this.#feed;
    if (committedAt === null) throw new TidemarkError('feed_empty');
    const fault = this.#snapshotFaults.get(set.id);
    this.#snapshotFaults.delete(set.id);
    if (fault) throw fault;
    return this.#snapshots.current(
      set.id,
      epoch,
      Math.max(from, horizon),
      (since) => this.#reader.behind(set, seq(since), head).bytes,
    );
  }

  snapshotFile(
    set: EntitledSet,
    epoch: string,
    at: number,
    coding: 'identity' | 'gzip' | 'zstd',
  ): { file: string; bytes: number; sha256: string } {
    this.#requireEpoch(epoch);
    const found = this.#snapshots.file(set.id, epoch, at, coding);
    if (!found) throw new TidemarkError('snapshot_gone');
    return found;
  }

  /** What a snapshot of a set is built of: of each table its part. */
  #snapshotSource(mirror: string, id: string): SnapshotSource {
    const set = [...this.#sets.values()].find((each) => each.id === id);
    if (!set) throw new TidemarkError('internal', { detail: `nobody has the scopes ${id}` });
    const { filters } = this.#config;
    const tables = this.#reader.mirror().flatMap(({ schema }): [string, SnapshotSource['tables'][string]][] => {
      const filter = filters[schema.name];
      if (!filter) return [];
      const router = new Router(schema, filter, []);
      const { columns, indexes = [] } = router.schema;
      return [[schema.name, { columns: columns.map(({ name }) => name), indexes, ...router.part(set.attributes) }]];
    });
    return {
      mirror,
      feed: this.name,
      scopes: id,
      cursorSql: MIRROR_STANDING_SQL,
      tables: Object.fromEntries(tables),
    };
  }

  #requireRange(epoch: string, start: PageStart, target: Seq): void {
    const { head, horizon } = this.#feed;
    this.#requireEpoch(epoch);
    if (start.seq < horizon) throw new TidemarkError('behind_horizon');
    if (start.seq > head) throw new TidemarkError('cursor_ahead');
    if (target > head || target < start.seq) throw new TidemarkError('target_invalid', { target });
  }

  #requireEpoch(epoch: string): void {
    if (epoch !== this.#feed.epoch) throw new TidemarkError('epoch_changed');
  }
}

/** What comes over the network when a copy is taken, bytes. */
const downloadOf = ({ codings }: SnapshotManifest) => Math.min(...codings.map(({ bytes }) => bytes));
