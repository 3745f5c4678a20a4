import type { SessionRequest } from '@tidemark/protocol/api';
import { type Seq, seq } from '@tidemark/protocol/cursor';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { ChangeLine } from '@tidemark/protocol/lines';
import { isAfter } from '@tidemark/protocol/position';
import { sameSchema, type TableSchema } from '@tidemark/protocol/schema';
import { FeedTables } from '@tidemark/table-store/feed-tables';
import { INTEGER, query, row, TEXT } from '@tidemark/table-store/query';
import { prepared, transaction, type Writer } from '@tidemark/table-store/sqlite';
import { requireStoredSchema } from '@tidemark/table-store/stored-schema';
import { rowidOf } from '@tidemark/table-store/table-ddl';
import { beginEpoch, FEED_ROW, FEED_SQL, type FeedRow } from '../log/log-format.ts';
import { LogTotals } from '../log/log-totals.ts';
import type { LogWriter } from '../log/log-writer.ts';
import { migrate } from '../log/migrations.ts';
import { dropOldest, type Retention } from '../log/retention.ts';
import type { Filters } from '../routing/filters.ts';
import { Routers } from '../routing/routers.ts';
import type { LinePlace } from './batch-lines.ts';
import { RoutedWriter } from './routed-writer.ts';
import { applyFilters, countRows } from './scope-counts.ts';
import type { Dropped } from './writer-calls.ts';

const STORED_SCHEMA = row({ id: INTEGER, schema: TEXT });

/**
 * The writer's view of a feed's store: the mirror, the log, the feed's row, and their state in memory.
 *
 * All changes belong to one SQLite transaction, which `open` begins and `commit` ends. Until then the feed's row in
 * memory is ahead of the one on disk. `rollback` resets memory and disk to the last commit. {@link Ingest} decides when
 * to commit.
 */
export class IngestStore {
  readonly db: Writer;
  readonly tables: FeedTables;
  readonly routers: Routers;
  readonly totals: LogTotals;
  readonly #writer: RoutedWriter;
  readonly #schemas = new Map<number, TableSchema>();
  #feed: FeedRow;

  /**
   * Migrates the store to the current format. If the filters have changed, drops the increments, which were routed by
   * the old filters. Throws config_invalid if a filter does not match its table, db_newer_version, db_*, disk_full.
   */
  constructor(db: Writer, filters: Filters) {
    this.db = db;
    migrate(db);
    this.tables = new FeedTables(db);
    this.routers = new Routers(filters);
    this.totals = new LogTotals(db);
    this.#writer = new RoutedWriter(db, this.tables, this.routers);
    applyFilters(db, filters, this.tables.list());
    this.#feed = this.#readFeed();
    this.#readSchemas();
  }

  get feed(): FeedRow {
    return this.#feed;
  }

  /** Returns the schema of a table id, or undefined if the id is not declared. */
  schema(id: number): TableSchema | undefined {
    return this.#schemas.get(id);
  }

  /** Returns the place of a line that concerns a table id, for errors. */
  place(number: number, id: number): LinePlace {
    return { number, table: this.#schemas.get(id)?.name, file: this.db.name };
  }

  /** Begins the SQLite transaction if none is open. */
  open(): void {
    if (!this.db.inTransaction) this.db.exec('BEGIN IMMEDIATE');
  }

  /** Commits all changes, which are then durable. */
  commit(): void {
    if (!this.db.inTransaction) return;
    this.tables.saveCounts();
    const { head, committedAt, position, basedAt, basedWhy } = this.#feed;
    prepared(
      this.db,
      'UPDATE tidemark_feed SET head = ?, committed_at = ?, position = ?, based_at = ?, based_why = ?',
    ).run(head, committedAt, position, basedAt, basedWhy);
    this.db.exec('COMMIT');
    this.#feed = this.#readFeed();
  }

  /** Drops uncommitted changes. */
  rollback(): void {
    if (this.db.inTransaction) this.db.exec('ROLLBACK');
    this.tables.reload();
    this.totals.clear();
    this.#feed = this.#readFeed();
    this.#readSchemas();
  }

  /**
   * Prepares for a session. Forgets the position if the master is another one, or if a base copy follows. Begins a new
   * epoch if the relay was set back, because it would otherwise assign seqs that terminals already know to other
   * transactions.
   */
  beginSession(source: string, base: SessionRequest['base']): void {
    if (source === this.#feed.source && !base) return;
    transaction(this.db, () => {
      prepared(this.db, 'UPDATE tidemark_feed SET source = ?, position = NULL').run(source);
      if (!base?.setBack) return;
      beginEpoch(this.db);
      const { head, committedAt } = this.#feed;
      if (committedAt !== null) countRows(this.db, this.tables.list(), this.routers, head, committedAt);
    });
    this.totals.clear();
    this.#feed = this.#readFeed();
  }

  /** Runs one step of retention. Does nothing while a transaction is open across batches. */
  dropOldest(keep: Retention, nowMs: number): Dropped {
    if (this.db.inTransaction) return { horizon: this.#feed.horizon, more: false };
    const dropped = dropOldest(this.db, keep, nowMs);
    this.#feed = this.#readFeed();
    return dropped;
  }

  /**
   * Declares a version of a table's schema. Throws filter_invalid, page_invalid if rows of a keyless table could not be
   * deleted, or batch_invalid if the id already has another schema.
   */
  declare(id: number, schema: TableSchema): void {
    const known = this.#schemas.get(id);
    if (known && !sameSchema(known, schema))
      throw new TidemarkError('batch_invalid', {
        detail: `table id ${id} was declared otherwise before`,
        table: schema.name,
      });
    if (known) return;
    // Rows of a keyless table are deleted by rowid. A table that is set aside receives no more deletes.
    if (schema.key.length === 0 && schema.setAside === undefined) rowidOf(schema);
    this.routers.bind(id, schema);
    this.open();
    this.#schemas.set(id, schema);
    prepared(this.db, 'INSERT INTO tidemark_schema (id, schema) VALUES (?, ?)').run(id, JSON.stringify(schema));
    prepared(this.db, 'UPDATE tidemark_feed SET next_table_id = max(next_table_id, ?)').run(id + 1);
  }

  /** Applies a change to the mirror and adds it to a transaction's log. `bytes` is the encoded line. */
  write(log: LogWriter, line: ChangeLine, bytes: Buffer): void {
    if (line[0] !== 'x') {
      const schema = this.#schemas.get(line[1]);
      if (schema) this.tables.declare(line[1], schema, line[0] !== 'a');
    }
    this.#writer.write(log, line, bytes);
  }

  /**
   * Advances the position to that of a heartbeat: the master has committed nothing for the feed up to it. The feed may
   * confirm the position after the next commit of the store.
   */
  onHeartbeat(position: string): void {
    if (this.#feed.position === null || !isAfter(position, this.#feed.position)) return;
    this.open();
    this.#feed = { ...this.#feed, position };
  }

  /** Advances head and position at the end of a transaction or base. */
  advance(head: number, committedAt: string, position: string): void {
    this.#feed = { ...this.#feed, head: seq(head), committedAt, position };
  }

  /** Records when and why a base copy was taken. */
  onBase(basedAt: string, basedWhy: string): void {
    this.#feed = { ...this.#feed, basedAt, basedWhy };
  }

  /** Ends the first base: sets the horizon to it and counts the rows of every scope. */
  startFrom(first: Seq, takenAt: string, position: string): void {
    prepared(this.db, 'UPDATE tidemark_feed SET horizon = ?').run(first);
    this.advance(first, takenAt, position);
    countRows(this.db, this.tables.list(), this.routers, first, takenAt);
    this.totals.clear();
  }

  #readFeed(): FeedRow {
    return query(this.db, FEED_SQL, FEED_ROW).one();
  }

  #readSchemas(): void {
    this.#schemas.clear();
    this.routers.clear();
    for (const { id, schema } of query(this.db, 'SELECT id, schema FROM tidemark_schema', STORED_SCHEMA).all())
      this.#schemas.set(id, requireStoredSchema(this.db, schema));
    for (const { id, schema } of this.tables.list()) this.routers.bind(id, schema);
  }
}
