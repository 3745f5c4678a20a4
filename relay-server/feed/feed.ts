import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { BehindBody, TableListBody, TransactionListBody } from '@tidemark/protocol/api';
import type { Cursor, Seq } from '@tidemark/protocol/cursor';
import type { ScopeSet } from '@tidemark/protocol/page';
import { CompactedPages } from '../compaction/compacted-pages.ts';
import type { FeedConfig } from '../config/relay-config.ts';
import { type Moment, momentsOf } from '../freshness/moment.ts';
import { SourceLag } from '../freshness/source-lag.ts';
import { Troubles } from '../freshness/troubles.ts';
import { FeedWriter } from '../ingest/feed-writer.ts';
import { withPrevious } from '../ingest/stored-filters.ts';
import { DirectLog } from '../log/direct/direct-log.ts';
import { FeedReader } from '../log/feed-reader.ts';
import type { FeedRow } from '../log/log-format.ts';
import type { LogSource } from '../log/log-source.ts';
import type { Retention } from '../log/retention.ts';
import { FeedPages } from '../pages/feed-pages.ts';
import type { Attributes, EntitledSet } from '../routing/filters.ts';
import { FeedSnapshots } from '../snapshots/feed-snapshots.ts';
import { FeedQueue } from '../threads/feed-queue.ts';
import type { RelayWork } from '../threads/relay-work.ts';
import { Entitlements } from './entitlements.ts';
import { FeedStore } from './feed-store.ts';
import { keepsUntilMs } from './keeping-time.ts';
import { LongPolls } from './long-polls.ts';
import { type Plan, planOf } from './plan.ts';
import { RetentionSchedule } from './retention-schedule.ts';

/**
 * One feed of the relay: creates the parts below, connects them, and gathers the facts of a status answer.
 *
 * This class must stay a coordinator. It may not
 * - contain SQL, read or write files, or start threads: the readers, the writer and the builders do this;
 * - decide how a terminal catches up, or compute costs and times: `plan.ts` and `keeping-time.ts` do this;
 * - know HTTP: requests, headers, codings, ISO times or error bodies;
 * - know sessions or batches: they belong to the log source;
 * - keep state of its own about terminals, pages or snapshots.
 *
 * Order of {@link Feed.close}: answer waiting requests, then close the readers, then the log source, then the writer.
 */

export interface FeedDeps {
  now: () => number;
  log: (event: string, fields: Record<string, unknown>) => void;
  work: RelayWork;
}

/** The facts of a status answer about the feed and one terminal. Times are in ms, except for the master's own texts. */
export interface FeedStatus {
  nowMs: number;
  row: FeedRow;
  keepsUntilMs: number | null;
  behind: BehindBody | null;
  plan: Plan;
  connected: boolean;
  heardAtMs: number | null;
  lagMs: number | null;
  fault: Troubles['fault'];
  /** Number of tables that do not follow the master. */
  troubled: number;
}

export class Feed {
  readonly name: string;
  readonly log: LogSource;
  /** Reads the relay's clocks. */
  readonly moment: () => Moment;
  readonly lag: SourceLag;
  readonly troubles: Troubles;
  readonly pages: FeedPages;
  readonly snapshots: FeedSnapshots;
  readonly #deps: FeedDeps;
  readonly #config: FeedConfig;
  readonly #store: FeedStore;
  readonly #reader: FeedReader;
  readonly #entitlements: Entitlements;
  readonly #polls = new LongPolls();
  readonly #retention: RetentionSchedule;

  private constructor(name: string, folder: string, config: FeedConfig, writer: FeedWriter, deps: FeedDeps) {
    const file = fileIn(folder);
    const { filters } = config;
    const failed = (event: string) => (error: { code: string; message: string }) =>
      deps.log(event, { feed: name, code: error.code, detail: error.message });
    this.name = name;
    this.#deps = deps;
    this.#config = config;
    this.moment = momentsOf(deps.now);
    this.lag = new SourceLag(this.moment);
    this.#reader = new FeedReader(file, filters);
    this.#entitlements = new Entitlements(filters);
    const store = new FeedStore(writer, this.#reader.feed(), ({ current, scopes }, moved, sampledAt) => {
      this.lag.onBatch(current ? sampledAt : null);
      if (moved) this.#polls.wake(scopes);
    });
    this.#store = store;
    this.troubles = new Troubles({
      now: deps.now,
      marked: () => this.#reader.marked(store.row),
      onChange: (fields) => deps.log('feed-troubles', { feed: name, ...fields }),
    });
    this.log = new DirectLog({
      store,
      tables: config,
      now: this.moment,
      onSession: ({ source, version }, head) =>
        deps.log('session', {
          ...{ feed: name, source: source.kind, head },
          version: version.slice(0, LOGGED_VERSION),
        }),
    });
    const compacted = new CompactedPages({
      feed: name,
      folder,
      file,
      filters,
      queue: new FeedQueue(deps.work.compactions, name),
      now: deps.now,
      onFailure: failed('squash-failed'),
    });
    this.pages = new FeedPages({ feed: name, file, filters, store, compacted, queue: deps.work.pages });
    this.snapshots = new FeedSnapshots({
      feed: name,
      folder,
      mirror: file,
      filters,
      store,
      reader: this.#reader,
      entitlements: this.#entitlements,
      queue: new FeedQueue(deps.work.snapshots, name),
      now: deps.now,
      onFailure: failed('snapshot-failed'),
    });
    this.#retention = new RetentionSchedule(
      () => store.dropOldest(config.retention, deps.now()),
      (error) => deps.log('retention-failed', { feed: name, error: String(error) }),
    );
  }

  /**
   * Opens or creates the feed's store in `data` and runs retention once. Throws db_*, disk_full, or config_invalid if a
   * filter does not match its table.
   */
  static async open(name: string, data: string, given: FeedConfig, deps: FeedDeps): Promise<Feed> {
    const folder = path.join(data, name);
    mkdirSync(folder, { recursive: true });
    const { filters, waiting } = withPrevious(fileIn(folder), given.filters);
    for (const each of waiting) deps.log('filter-waits', { feed: name, ...each });
    const config = { ...given, filters };
    const writer = new FeedWriter(fileIn(folder), filters);
    try {
      await writer.open();
    } catch (error) {
      await writer.close();
      throw error;
    }
    const feed = new Feed(name, folder, config, writer, deps);
    await feed.#retention.run();
    return feed;
  }

  /** Answers all waiting requests and closes the store. Drops uncommitted changes. */
  async close(): Promise<void> {
    this.release();
    this.#retention.stop();
    await this.snapshots.close();
    await this.pages.close();
    this.#reader.close();
    await this.log.close();
    await this.#store.close();
  }

  /** Answers every waiting request now. */
  release(): void {
    this.#polls.wakeAll();
  }

  /** The committed state of the feed. */
  get row(): FeedRow {
    return this.#store.row;
  }

  /** Whether a batch or heartbeat arrived recently, and the feed reports no fault. */
  get connected(): boolean {
    return this.lag.heard && this.troubles.fault === null;
  }

  /** Returns why the store cannot be read, or null if it can. */
  storeFault(): string | null {
    return this.#reader.fault();
  }

  /** Returns the entitled set of a terminal with these attributes. */
  entitled(attributes: Attributes): EntitledSet {
    return this.#entitlements.of(attributes);
  }

  /**
   * Returns the facts for a terminal. `cursor` is its cursor, or null if its replica is empty. `holds` is the set of
   * scopes in its replica.
   */
  status(set: EntitledSet, cursor: Cursor | null, holds: ScopeSet): FeedStatus {
    const row = this.#store.row;
    const { behind, plan } = planOf({
      head: row.committedAt === null ? null : { epoch: row.epoch, seq: row.head },
      horizon: row.horizon,
      cursor,
      entitled: set.id,
      holds,
      behind: () => this.#reader.behind(set, cursor?.seq ?? row.head, row.head),
      size: () => this.#reader.size(set),
      changedRows: () => this.#reader.changedRows(set, cursor?.seq ?? row.head),
      snapshot: () => this.snapshots.ready(set),
      pageRatio: this.pages.compressionRatio,
      compactionRefused: () => this.pages.compactionRefused(set, cursor?.seq ?? row.head),
    });
    return {
      nowMs: this.#deps.now(),
      row,
      keepsUntilMs:
        cursor && behind
          ? keepsUntil(this.#reader, this.#config.retention, cursor.seq, behind, this.#deps.now())
          : null,
      behind,
      plan,
      connected: this.connected,
      heardAtMs: this.lag.heardAtMs,
      lagMs: this.lag.lagMs,
      fault: this.troubles.fault,
      troubled: this.troubles.count,
    };
  }

  /**
   * Resolves when the log has transactions of the set after `after`, at the time limit, or when `signal` is aborted.
   * Rejects with relay_busy if it has none yet, and too many requests wait, in all or of this access key.
   */
  async waitForNews(key: string, set: EntitledSet, after: Seq, timeoutMs: number, signal: AbortSignal): Promise<void> {
    const { head } = this.#store.row;
    if (after > head || this.#reader.behind(set, after, head).transactions > 0) return;
    await this.#polls.wait(key, set.scopes, timeoutMs, signal);
  }

  /** Lists transactions of the set after a seq, oldest first. Throws epoch_changed. */
  transactions(set: EntitledSet, epoch: string, after: Seq, limit: number): TransactionListBody {
    this.#store.requireEpoch(epoch);
    return { transactions: this.#reader.transactions(set, after, limit), head: this.#store.row.head };
  }

  /**
   * Lists the feed's tables for a set. Counts the changes that the terminal is missing if its cursor belongs to the
   * feed.
   */
  tables(set: EntitledSet, cursor: Cursor | null): TableListBody {
    const { row } = this.#store;
    const known = cursor !== null && cursor.epoch === row.epoch && cursor.seq <= row.head ? cursor.seq : null;
    return { tables: this.#reader.tables(set, known, row) };
  }
}

/** Returns when the relay drops the first transaction after `after` that a terminal is missing, in ms. Null: never. */
function keepsUntil(
  reader: FeedReader,
  retention: Retention,
  after: Seq,
  { oldestAt }: BehindBody,
  nowMs: number,
): number | null {
  if (oldestAt === null) return null;
  // Only a size limit needs the size of the log, which costs queries.
  const log = retention.megabytes === null ? null : reader.logSpan();
  const cursorBytes = log === null ? 0 : reader.logBytes(after);
  return keepsUntilMs({ nowMs, retention, oldestMissingMs: Date.parse(oldestAt), log, cursorBytes });
}

/** Characters of a feed's version in the log. */
const LOGGED_VERSION = 100;

const fileIn = (folder: string) => path.join(folder, 'feed.sqlite');
