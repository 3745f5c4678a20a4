import type { BehindBody, TableListBody, TransactionListBody } from '@tidemark/protocol/api';
import type { Seq } from '@tidemark/protocol/cursor';
import { asTidemarkError } from '@tidemark/protocol/errors';
import type { TableSchema } from '@tidemark/protocol/schema';
import { INTEGER, query, row, TEXT, value } from '@tidemark/table-store/query';
import { databaseError, openReader, type Reader } from '@tidemark/table-store/sqlite';
import { requireStoredSchema } from '@tidemark/table-store/stored-schema';
import { PageReader } from '../pages/page-reader.ts';
import type { EntitledSet, Filters } from '../routing/filters.ts';
import { behindOf, transactionsAfter } from './backlog.ts';
import { FEED_ROW, FEED_SQL, type FeedRow } from './log-format.ts';
import { TableTotals } from './table-totals.ts';

/**
 * The relay's reading connection to a feed's database. Reads run on the event loop, so every read is short, and its
 * cost depends on the size of the result, never on the length of the log. It never writes.
 */

/** The kept log at one end: when its transaction was committed, ms, and the size of the log up to it, bytes. */
export interface LogEnd {
  committedAtMs: number;
  bytes: number;
}

const LOG_END = row({ committedAt: TEXT, bytes: INTEGER });

export class FeedReader {
  readonly #db: Reader;
  readonly #totals: TableTotals;
  readonly pages: PageReader;

  /** Throws db_*. */
  constructor(file: string, feed: string, filters: Filters) {
    this.#db = openReader(file);
    this.#totals = new TableTotals(this.#db, filters);
    this.pages = new PageReader(this.#db, feed, filters);
  }

  close(): void {
    this.#db.close();
  }

  feed(): FeedRow {
    return query(this.#db, FEED_SQL, FEED_ROW).one();
  }

  /** Why the store cannot be read, as a sentence; null: it can. */
  fault(): string | null {
    try {
      this.feed();
      return null;
    } catch (error) {
      return asTidemarkError(databaseError(this.#db.name, error)).message;
    }
  }

  /** Rows and tables that a terminal of the set has. */
  size(set: EntitledSet): { rows: number; tables: number } {
    return this.#totals.size(set);
  }

  /** The backlog between a seq and the head, in the set's scopes. */
  behind({ scopes }: EntitledSet, from: Seq, head: Seq): BehindBody {
    return behindOf(this.#db, scopes, from, head);
  }

  /** An upper bound of the rows of the set that changed after a seq. */
  changedRows(set: EntitledSet, after: Seq): number {
    return this.#totals.changedRows(set, after);
  }

  /** Transactions after a seq, oldest first. */
  transactions({ scopes }: EntitledSet, after: Seq, limit: number): TransactionListBody['transactions'] {
    return transactionsAfter(this.#db, scopes, after, limit);
  }

  /** The feed's tables as the set has them. `after`: the seq that the terminal has; null: none. */
  tables(set: EntitledSet, after: Seq | null): TableListBody['tables'] {
    return this.#totals.list(set, after);
  }

  /** Both ends of the kept log; null: it is empty. */
  logSpan(): { oldest: LogEnd; newest: LogEnd } | null {
    const end = (order: 'ASC' | 'DESC') =>
      query(
        this.#db,
        `SELECT committed_at AS committedAt, sum_bytes AS bytes FROM tidemark_seq ORDER BY seq ${order} LIMIT 1`,
        LOG_END,
      ).get();
    const oldest = end('ASC');
    const newest = end('DESC');
    return oldest && newest ? { oldest: inMs(oldest), newest: inMs(newest) } : null;
  }

  /** Size of the log up to a seq, bytes. */
  logBytes(at: Seq): number {
    const sql = 'SELECT sum_bytes FROM tidemark_seq WHERE seq <= ? ORDER BY seq DESC LIMIT 1';
    return query(this.#db, sql, value(INTEGER)).get(at) ?? 0;
  }

  /** The schemas of the mirror's tables, by name. */
  mirrorSchemas(): TableSchema[] {
    const stored = query(this.#db, 'SELECT schema FROM tidemark_table ORDER BY name', value(TEXT)).all();
    return stored.map((schema) => requireStoredSchema(this.#db, schema));
  }
}

const inMs = ({ committedAt, bytes }: { committedAt: string; bytes: number }): LogEnd => ({
  committedAtMs: Date.parse(committedAt),
  bytes,
});
