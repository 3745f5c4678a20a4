import { createHash } from 'node:crypto';
import type { SessionRequest } from '@tidemark/protocol/api';
import { type Seq, seq } from '@tidemark/protocol/cursor';
import { TidemarkError } from '@tidemark/protocol/errors';
import {
  BatchLine,
  type ChangeLine,
  changesIn,
  type LoadLine,
  type PartialLine,
  type WireRow,
} from '@tidemark/protocol/lines';
import { BatchTrailer } from '@tidemark/protocol/page';
import { isAfter } from '@tidemark/protocol/position';
import { sameSchema, type TableSchema } from '@tidemark/protocol/schema';
import { FeedTables } from '@tidemark/table-store/feed-tables';
import { databaseError, prepared, transaction, type Writer } from '@tidemark/table-store/sqlite';
import { beginEpoch, ensureLog, FEED_SQL, type FeedRow } from '../log/log-format.ts';
import { LogTotals, LogWriter } from '../log/log-writer.ts';
import { dropOldest, type Retention } from '../log/retention.ts';
import type { Filters } from '../routing/filters.ts';
import { BaseLoad } from './base-load.ts';
import { RoutedWriter, Routers } from './routed-writer.ts';
import { countRows, takeFilters } from './scope-counts.ts';
import { TableLoad } from './table-load.ts';
import type { Heartbeat, Ingested } from './writer-calls.ts';

const NEWLINE = 0x0a;
const ROW_LINES = new Set(['i', 'u', 'd']);

/** The table that is being loaded. */
interface Load {
  id: number;
  table: TableLoad;
}

/**
 * Where the lines of a batch may stand:
 *
 * | state   | s | b    | B      | i u d t r x a p | L           | E    | c      | h |
 * | ---     | - | ---  | ---    | ---             | ---         | ---  | ---    | - |
 * | none    | ✓ | → tx | → base | –               | –           | –    | –      | ✓ |
 * | tx      | ✓ | –    | –      | ✓               | → load      | –    | → none | – |
 * | tx load | ✓ | –    | –      | i of its table  | –           | → tx | –      | – |
 * | base    | ✓ | –    | –      | i               | –           | –    | → none | – |
 * | skip    | ✓ | –    | –      | passed over     | passed over | same | → none | – |
 */
type State =
  | { kind: 'none' }
  | { kind: 'skip' }
  | { kind: 'transaction'; position: string; log: LogWriter; changes: number; load: Load | null }
  | { kind: 'base'; position: string; takenAt: string; why: string; load: BaseLoad; changes: number };

/**
 * Applies batches to log, mirror and head of one feed, in one SQLite transaction for all that a batch
 * ends. A transaction that goes on in the next batch stays open in SQLite: nobody sees it before it is whole.
 */
export class Ingest {
  readonly #db: Writer;
  readonly #tables: FeedTables;
  readonly #schemas = new Map<number, TableSchema>();
  readonly #routers: Routers;
  readonly #writer: RoutedWriter;
  readonly #totals: LogTotals;
  #touched = new Set<string>();
  #feed: FeedRow;
  #state: State = { kind: 'none' };

  /** Throws config_invalid when the filters do not fit the mirror's tables. With other filters than before, the increments routed by those are dropped. */
  constructor(db: Writer, filters: Filters) {
    this.#db = db;
    ensureLog(db);
    this.#tables = new FeedTables(db);
    this.#routers = new Routers(filters);
    this.#totals = new LogTotals(db);
    this.#writer = new RoutedWriter(db, this.#tables, this.#routers);
    takeFilters(db, filters, this.#tables.list());
    this.#feed = this.#readFeed();
    this.#readSchemas();
  }

  get feed(): FeedRow {
    return this.#feed;
  }

  /** Current tables of the mirror with the ids that the feed may go on using. */
  tables(): { id: number; schema: TableSchema; rows: number }[] {
    return this.#tables.list();
  }

  /**
   * Drops what is not committed: a new session begins. Positions of another master, and before a base, mean nothing. A
   * relay that was set back would give numbers out again that terminals know: it begins a new epoch.
   */
  reset(session?: { source: string; base: SessionRequest['base'] }): void {
    this.#rollback();
    if (!session || (session.source === this.#feed.source && !session.base)) return;
    transaction(this.#db, () => {
      prepared(this.#db, 'UPDATE tidemark_feed SET source = ?, position = NULL').run(session.source);
      if (!session.base?.setBack) return;
      beginEpoch(this.#db);
      const { head, committedAt } = this.#feed;
      if (committedAt !== null) countRows(this.#db, this.#tables.list(), this.#routers, head, committedAt);
    });
    this.#totals.clear();
    this.#feed = this.#readFeed();
  }

  /** One step of retention. While a transaction is open across batches it waits. Throws disk_full, db_*. */
  dropOldest(keep: Retention, now: number): { horizon: Seq; more: boolean } {
    if (this.#db.inTransaction) return { horizon: this.#feed.horizon, more: false };
    const dropped = dropOldest(this.#db, keep, now);
    this.#feed = this.#readFeed();
    return dropped;
  }

  /** Applies a batch. What it throws has rolled back everything that was not committed. */
  apply(batch: Buffer): Ingested {
    try {
      return this.#apply(batch);
    } catch (error) {
      this.#rollback();
      throw databaseError(this.#db.name, error);
    }
  }

  #apply(batch: Buffer): Ingested {
    const body = verify(batch);
    this.#touched = new Set();
    const lastEnd = body.lastIndexOf('\n["c",');
    let heartbeat: Heartbeat | null = null;
    let number = 0;
    for (let from = 0; from < body.length; ) {
      const end = body.indexOf(NEWLINE, from);
      const bytes = body.subarray(from, end + 1);
      number++;
      const line = readLine(bytes, number);
      switch (line[0]) {
        case 's':
          this.#declare(line[1], line[2]);
          break;
        case 'b':
          // What ended before a transaction that this batch does not end must not wait for it.
          if (from > lastEnd) this.#commit();
          this.#begin(line[1], line[2], number);
          break;
        case 'B':
          this.#beginBase(line[1], line[2], line[3], number);
          break;
        case 'c':
          this.#end(line[1], number);
          break;
        case 'h':
          if (this.#state.kind !== 'none') throw invalid(number, 'a heartbeat stands inside a transaction');
          heartbeat = { position: line[1], masterTime: line[2], current: line[3] };
          this.#heard(line[1]);
          break;
        case 'L':
          this.#beginLoad(line, number);
          break;
        case 'E':
          this.#endLoad(line[1], number);
          break;
        default:
          this.#change(line, bytes, number);
      }
      from = end + 1;
    }
    if (this.#state.kind === 'none' || this.#state.kind === 'skip') this.#commit();
    return { feed: this.#feed, heartbeat, scopes: [...this.#touched] };
  }

  /** Nothing was committed up to there that the relay lacks; the feed may confirm it once it is on disk. */
  #heard(position: string): void {
    if (this.#feed.position === null || !isAfter(position, this.#feed.position)) return;
    this.#open();
    this.#feed = { ...this.#feed, position };
  }

  #declare(id: number, schema: TableSchema): void {
    const known = this.#schemas.get(id);
    if (known && !sameSchema(known, schema))
      throw new TidemarkError('batch_invalid', { detail: `table id ${id} was declared otherwise before` });
    if (!known) {
      this.#routers.bind(id, schema);
      this.#open();
      this.#schemas.set(id, schema);
      prepared(this.#db, 'INSERT INTO tidemark_schema (id, schema) VALUES (?, ?)').run(id, JSON.stringify(schema));
      prepared(this.#db, 'UPDATE tidemark_feed SET next_table_id = max(next_table_id, ?)').run(id + 1);
    }
    if (this.#state.kind === 'base') this.#state.load.declare(id, schema);
  }

  #begin(position: string, committedAt: string, number: number): void {
    if (this.#state.kind !== 'none') throw invalid(number, 'a transaction begins inside another');
    if (this.#feed.position === null) throw invalid(number, 'a transaction stands before the base');
    if (!isAfter(position, this.#feed.position)) {
      this.#state = { kind: 'skip' };
      return;
    }
    this.#open();
    const log = new LogWriter(this.#db, this.#totals, this.#feed.head + 1, committedAt);
    this.#state = { kind: 'transaction', position, log, changes: 0, load: null };
  }

  #beginBase(position: string, takenAt: string, why: string, number: number): void {
    if (this.#state.kind !== 'none') throw invalid(number, 'a base begins inside a transaction');
    this.#open();
    const load = new BaseLoad(this.#db, this.#tables, this.#routers, this.#feed.head === 0);
    this.#state = { kind: 'base', position, takenAt, why, load, changes: 0 };
  }

  #change(line: ChangeLine | PartialLine, bytes: Buffer, number: number): void {
    const state = this.#state;
    if (state.kind === 'skip') return;
    if (state.kind === 'none') throw invalid(number, 'a change stands outside of a transaction');
    const schema = line[0] === 'x' ? undefined : this.#schemas.get(line[1]);
    if (line[0] !== 'x' && !schema) throw invalid(number, `table id ${line[1]} is not declared`);
    try {
      if (state.kind === 'base') {
        if (line[0] !== 'i' || !schema) throw invalid(number, 'a base holds inserts only');
        state.load.declare(line[1], schema);
        state.load.insert(line[1], line[2]);
        state.changes += line[2].length;
        return;
      }
      state.changes += changesIn(line);
      if (state.load) {
        if (line[0] !== 'i' || line[1] !== state.load.id)
          throw invalid(number, 'a load holds the inserts of its table only');
        state.load.table.insert(line[2]);
        return;
      }
      if (line[0] === 'p') this.#partial(state.log, line);
      else this.#write(state.log, line, bytes);
    } catch (error) {
      throw faultOf(error, number);
    }
  }

  #beginLoad([, id, from, columns]: LoadLine, number: number): void {
    const state = this.#state;
    if (state.kind === 'skip') return;
    if (state.kind !== 'transaction' || state.load) throw invalid(number, 'a load stands outside of a transaction');
    const schema = this.#schemas.get(id);
    if (!schema) throw invalid(number, `table id ${id} is not declared`);
    if (columns.length !== schema.columns.length) throw invalid(number, 'it does not say of each column what it was');
    state.load = { id, table: new TableLoad(this.#db, this.#tables, this.#routers, { id, schema, from, columns }) };
  }

  #endLoad(id: number, number: number): void {
    const state = this.#state;
    if (state.kind === 'skip') return;
    if (state.kind !== 'transaction' || state.load?.id !== id) throw invalid(number, 'a load ends but did not begin');
    try {
      state.load.table.finish((line) => this.#write(state.log, line, Buffer.from(`${JSON.stringify(line)}\n`)));
    } catch (error) {
      throw faultOf(error, number);
    }
    state.load = null;
  }

  #write(log: LogWriter, line: ChangeLine, bytes: Buffer): void {
    if (line[0] !== 'x') {
      const schema = this.#schemas.get(line[1]);
      if (schema) this.#tables.declare(line[1], schema, line[0] !== 'a');
    }
    this.#writer.write(log, line, bytes);
  }

  /** Rows whose unchanged columns the master left out: each is written before the next one, which may be the same row again. */
  #partial(log: LogWriter, [, id, rows]: PartialLine): void {
    for (const row of rows)
      for (const whole of this.#complete(id, row)) this.#write(log, whole, Buffer.from(`${JSON.stringify(whole)}\n`));
  }

  /** Such a row, made whole from the mirror. */
  #complete(id: number, [oldKey, present, values]: PartialLine[2][number]): ChangeLine[] {
    const schema = this.#schemas.get(id);
    if (!schema) return [];
    const keyAt = schema.key.map((name) => schema.columns.findIndex((column) => column.name === name));
    const sent = new Map(present.map((column, i) => [column, values[i] ?? null]));
    const key = oldKey ?? keyAt.map((column) => sent.get(column) ?? null);
    const old = this.#tables.readByKey(id, key);
    if (!old)
      throw new TidemarkError('batch_invalid', {
        detail: `a row of ${schema.name} was updated that the mirror does not hold`,
      });
    const row: WireRow = old.map((value, column) => (sent.has(column) ? (sent.get(column) ?? null) : value));
    return oldKey === null
      ? [['u', id, [row]]]
      : [
          ['d', id, [oldKey]],
          ['i', id, [row]],
        ];
  }

  #end(changes: number, number: number): void {
    const state = this.#state;
    if (state.kind === 'none') throw invalid(number, 'a transaction ends but did not begin');
    if (state.kind === 'transaction') {
      if (state.load) throw invalid(number, 'a transaction ends inside a load');
      if (changes !== state.changes)
        throw invalid(number, `the transaction has ${state.changes} changes instead of ${changes}`);
      this.#endLog(state.log);
      this.#advance(state.log.seq, state.log.committedAt, state.position);
    } else if (state.kind === 'base') {
      if (changes !== state.changes) throw invalid(number, `the base has ${state.changes} rows instead of ${changes}`);
      this.#endBase(state);
    }
    this.#state = { kind: 'none' };
  }

  #endBase(state: Extract<State, { kind: 'base' }>): void {
    const first = this.#feed.head === 0;
    const next = this.#feed.head + 1;
    this.#feed = { ...this.#feed, basedAt: state.takenAt, basedWhy: state.why };
    if (first) {
      state.load.finishFirst();
      prepared(this.#db, 'UPDATE tidemark_feed SET horizon = ?').run(next);
      this.#advance(next, state.takenAt, state.position);
      countRows(this.#db, this.#tables.list(), this.#routers, next, state.takenAt);
      this.#totals.clear();
      return;
    }
    const log = new LogWriter(this.#db, this.#totals, next, state.takenAt);
    let lines = 0;
    state.load.finish((line) => {
      lines++;
      this.#write(log, line, Buffer.from(`${JSON.stringify(line)}\n`));
    });
    if (lines > 0) {
      this.#endLog(log);
      this.#advance(next, state.takenAt, state.position);
    } else {
      this.#advance(this.#feed.head, this.#feed.committedAt ?? state.takenAt, state.position);
    }
  }

  #endLog(log: LogWriter): void {
    log.end();
    for (const scope of log.scopes) this.#touched.add(scope);
  }

  #advance(head: number, committedAt: string, position: string): void {
    this.#feed = { ...this.#feed, head: seq(head), committedAt, position };
  }

  #open(): void {
    if (!this.#db.inTransaction) this.#db.exec('BEGIN IMMEDIATE');
  }

  #commit(): void {
    if (!this.#db.inTransaction) return;
    this.#tables.saveCounts();
    const { head, committedAt, position, basedAt, basedWhy } = this.#feed;
    prepared(
      this.#db,
      'UPDATE tidemark_feed SET head = ?, committed_at = ?, position = ?, based_at = ?, based_why = ?',
    ).run(head, committedAt, position, basedAt, basedWhy);
    this.#db.exec('COMMIT');
    this.#feed = this.#readFeed();
  }

  #rollback(): void {
    this.#state = { kind: 'none' };
    if (this.#db.inTransaction) this.#db.exec('ROLLBACK');
    this.#tables.reload();
    this.#totals.clear();
    this.#feed = this.#readFeed();
    this.#readSchemas();
  }

  #readFeed(): FeedRow {
    return prepared(this.#db, FEED_SQL).get() as FeedRow;
  }

  #readSchemas(): void {
    this.#schemas.clear();
    this.#routers.clear();
    for (const row of prepared(this.#db, 'SELECT id, schema FROM tidemark_schema').all() as {
      id: number;
      schema: string;
    }[]) {
      this.#schemas.set(row.id, JSON.parse(row.schema) as TableSchema);
    }
    for (const { id, schema } of this.#tables.list()) this.#routers.bind(id, schema);
  }
}

/** The lines of a batch whose trailer is right. Throws batch_corrupt. */
function verify(batch: Buffer): Buffer {
  const trailerAt = batch.length < 2 ? 0 : batch.lastIndexOf(NEWLINE, batch.length - 2) + 1;
  let trailer: BatchTrailer;
  try {
    trailer = BatchTrailer.parse(JSON.parse(batch.toString('utf8', trailerAt)));
  } catch (error) {
    throw new TidemarkError('batch_corrupt', {}, error);
  }
  const body = batch.subarray(0, trailerAt);
  if (createHash('sha256').update(body).digest('hex') !== trailer.sha256) throw new TidemarkError('batch_corrupt');
  return body;
}

function readLine(bytes: Buffer, number: number): BatchLine {
  let line: unknown;
  try {
    line = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw new TidemarkError('batch_invalid', { detail: `line ${number} is not JSON` }, error);
  }
  // Rows are checked where they are applied: a schema check of each value would cost more than the apply.
  if (
    Array.isArray(line) &&
    ROW_LINES.has(line[0] as string) &&
    line.length === 3 &&
    Number.isSafeInteger(line[1]) &&
    Array.isArray(line[2])
  ) {
    return line as BatchLine;
  }
  const parsed = BatchLine.safeParse(line);
  if (!parsed.success) throw invalid(number, 'it is of no known kind');
  return parsed.data;
}

const invalid = (line: number, detail: string) =>
  new TidemarkError('batch_invalid', { detail: `line ${line}: ${detail}` });

/** The line's own fault, seen where its rows are applied. */
const faultOf = (error: unknown, number: number) =>
  error instanceof TidemarkError && error.code === 'page_invalid'
    ? invalid(number, String(error.params.detail))
    : error;
