import type { SessionRequest } from '@tidemark/protocol/api';
import type { BatchLine, ChangeLine, PartialLine } from '@tidemark/protocol/lines';
import { isAfter } from '@tidemark/protocol/position';
import type { TableSchema } from '@tidemark/protocol/schema';
import { databaseError } from '@tidemark/table-store/database-error';
import type { Writer } from '@tidemark/table-store/sqlite';
import type { FeedRow } from '../log/log-format.ts';
import type { Retention } from '../log/retention.ts';
import type { Filters } from '../routing/filters.ts';
import { applyingLine, endOfLine, invalidLine, parseLine, verifiedBody } from './batch-lines.ts';
import { IngestStore } from './ingest-store.ts';
import { OpenBase } from './open-base.ts';
import { OpenTransaction } from './open-transaction.ts';
import type { Dropped, Ingested } from './writer-calls.ts';

/** The open transaction or base. `skipped` is a transaction that the store already has. */
type Open = OpenTransaction | OpenBase | 'skipped' | null;

/**
 * Applies batches to one feed's store. The table lists the lines that each state allows, and the next state:
 *
 * | open        | s | b             | B      | i u d t r x a p           | L       | E       | c      | h |
 * | ---         | - | ---           | ---    | ---                       | ---     | ---     | ---    | - |
 * | nothing     | ✓ | → transaction | → base | –                         | –       | –       | –      | ✓ |
 * | transaction | ✓ | –             | –      | ✓                         | → load  | –       | → none | – |
 * | its load    | ✓ | –             | –      | i of its table; x → ended | –       | → ended | –      | – |
 * | base        | ✓ | –             | –      | i x                       | –       | –       | → none | – |
 * | skipped     | ✓ | –             | –      | ignored                   | ignored | ignored | → none | – |
 *
 * All transactions that end in a batch are committed together after the batch. A transaction that continues in the next
 * batch stays open in SQLite, where readers do not see it; the transactions before it are committed first. An error
 * rolls back all uncommitted changes, including those of earlier batches, and the feed resends them in a new session.
 */
export class Ingest {
  readonly #store: IngestStore;
  #open: Open = null;
  /** Scopes in which the batch has changed rows. */
  #touched = new Set<string>();

  /** Throws the same errors as {@link IngestStore}. */
  constructor(db: Writer, filters: Filters) {
    this.#store = new IngestStore(db, filters);
  }

  get feed(): FeedRow {
    return this.#store.feed;
  }

  /** Returns the mirror's tables with their ids, which the feed may continue to use. */
  tables(): { id: number; schema: TableSchema; rows: number }[] {
    return this.#store.tables.list();
  }

  /** Drops uncommitted changes. */
  reset(): void {
    this.#open = null;
    this.#store.rollback();
  }

  /** Drops uncommitted changes, and begins a session. */
  beginSession(source: string, base: SessionRequest['base']): void {
    this.reset();
    this.#store.beginSession(source, base);
  }

  /** Runs one step of retention. Throws disk_full, db_*. */
  dropOldest(keep: Retention, nowMs: number): Dropped {
    return this.#store.dropOldest(keep, nowMs);
  }

  /** Applies a batch. Throws batch_corrupt, batch_invalid, filter_invalid, disk_full, db_*. */
  apply(batch: Buffer): Ingested {
    try {
      return this.#apply(verifiedBody(batch));
    } catch (error) {
      this.reset();
      throw databaseError(this.#store.db.name, error);
    }
  }

  #apply(body: Buffer): Ingested {
    this.#touched = new Set();
    const lastCommit = body.lastIndexOf('\n["c",');
    let current = false;
    let number = 0;
    for (let from = 0; from < body.length; ) {
      const end = endOfLine(body, from);
      const bytes = body.subarray(from, end);
      number++;
      const line = parseLine(bytes, number);
      // If this transaction does not end in the batch, the earlier ones must not wait for it, so commit them now.
      if (line[0] === 'b' && from > lastCommit) this.#store.commit();
      if (line[0] === 'h') current = this.#heartbeat(line, number) || current;
      else this.#line(line, bytes, number);
      from = end;
    }
    if (this.#open === null || this.#open === 'skipped') this.#store.commit();
    return { feed: this.#store.feed, current, scopes: [...this.#touched] };
  }

  #line(line: Exclude<BatchLine, { 0: 'h' }>, bytes: Buffer, number: number): void {
    switch (line[0]) {
      case 's':
        return this.#declare(line[1], line[2], number);
      case 'b':
        return this.#begin(line[1], line[2], number);
      case 'B':
        if (this.#open !== null) throw invalidLine(number, 'a base begins inside a transaction');
        this.#open = new OpenBase(this.#store, line[1], line[2], line[3]);
        return;
      case 'c':
        return this.#end(line[1], number);
      case 'L':
        return this.#transaction(number, 'a load is outside of a transaction')?.beginLoad(line, number);
      case 'E':
        return this.#transaction(number, 'a load ends but did not begin')?.endLoad(line[1], number);
      default:
        return this.#change(line, bytes, number);
    }
  }

  /** Returns whether the heartbeat was sent from the end of the master's log. */
  #heartbeat([, position, , current]: Extract<BatchLine, { 0: 'h' }>, number: number): boolean {
    if (this.#open !== null) throw invalidLine(number, 'a heartbeat is inside a transaction');
    this.#store.onHeartbeat(position);
    return current;
  }

  #declare(id: number, schema: TableSchema, number: number): void {
    applyingLine({ number, table: schema.name, file: this.#store.db.name }, () => {
      this.#store.declare(id, schema);
      if (this.#open instanceof OpenBase) this.#open.declare(id, schema);
    });
  }

  #begin(position: string, committedAt: string, number: number): void {
    if (this.#open !== null) throw invalidLine(number, 'a transaction begins inside another');
    const known = this.#store.feed.position;
    if (known === null) throw invalidLine(number, 'a transaction is before the base');
    this.#open = isAfter(position, known) ? new OpenTransaction(this.#store, position, committedAt) : 'skipped';
  }

  #change(line: ChangeLine | PartialLine, bytes: Buffer, number: number): void {
    const open = this.#open;
    if (open === 'skipped') return;
    if (open === null) throw invalidLine(number, 'a change is outside of a transaction');
    if (line[0] !== 'x' && !this.#store.schema(line[1]))
      throw invalidLine(number, `table id ${line[1]} is not declared`);
    if (open instanceof OpenBase) open.change(line, number);
    else open.change(line, bytes, number);
  }

  #end(changes: number, number: number): void {
    const open = this.#open;
    if (open === null) throw invalidLine(number, 'a transaction ends but did not begin');
    if (open !== 'skipped') for (const scope of open.end(changes, number)) this.#touched.add(scope);
    this.#open = null;
  }

  /** Returns the open transaction, or null if it is skipped. Throws batch_invalid if none is open. */
  #transaction(number: number, otherwise: string): OpenTransaction | null {
    if (this.#open === 'skipped') return null;
    if (!(this.#open instanceof OpenTransaction)) throw invalidLine(number, otherwise);
    return this.#open;
  }
}
