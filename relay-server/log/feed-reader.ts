import type { BehindBody, TableListBody, TransactionListBody } from '@tidemark/protocol/api';
import type { Seq } from '@tidemark/protocol/cursor';
import { asTidemarkError } from '@tidemark/protocol/errors';
import type { TableSchema } from '@tidemark/protocol/schema';
import { databaseError } from '@tidemark/table-store/database-error';
import { INTEGER, query, row, TEXT, value } from '@tidemark/table-store/query';
import { openReader, type Reader } from '@tidemark/table-store/sqlite';
import { requireStoredSchema } from '@tidemark/table-store/stored-schema';
import { MarkedTables } from '../freshness/marked-tables.ts';
import type { MarkedTable } from '../freshness/troubles.ts';
import type { EntitledSet, Filters } from '../routing/filters.ts';
import { behindOf, transactionsAfter } from './backlog.ts';
import { FEED_ROW, FEED_SQL, type FeedRow } from './log-format.ts';
import { TableTotals } from './table-totals.ts';

/**
 * The relay's read connection to a feed's database. Reads run on the event loop, so each must be short: its cost may
 * depend on the size of the result, never on the length of the log. It never writes.
 */

/** One end of the log: the commit time of its transaction in ms, and the size of the log up to it in bytes. */
export interface LogEnd {
  committedAtMs: number;
  bytes: number;
}

const LOG_END = row({ committedAt: TEXT, bytes: INTEGER });

export class FeedReader {
  readonly #db: Reader;
  readonly #totals: TableTotals;
  readonly #marked: MarkedTables;

  /** Opens the connection. Throws db_*. */
  constructor(file: string, filters: Filters) {
    this.#db = openReader(file);
    this.#totals = new TableTotals(this.#db, filters);
    this.#marked = new MarkedTables(this.#db);
  }

  close(): void {
    this.#db.close();
  }

  feed(): FeedRow {
    return query(this.#db, FEED_SQL, FEED_ROW).one();
  }

  /** Returns a sentence that explains why the store cannot be read, or null if it can. */
  fault(): string | null {
    try {
      this.feed();
      return null;
    } catch (error) {
      return asTidemarkError(databaseError(this.#db.name, error)).message;
    }
  }

  /** Returns the number of rows and tables of a set. */
  size(set: EntitledSet): { rows: number; tables: number } {
    return this.#totals.size(set);
  }

  /** Returns the backlog between a seq and the head in the set's scopes. */
  behind({ scopes }: EntitledSet, from: Seq, head: Seq): BehindBody {
    return behindOf(this.#db, scopes, from, head);
  }

  /** Returns an upper bound on the number of the set's rows that changed after a seq. */
  changedRows(set: EntitledSet, after: Seq): number {
    return this.#totals.changedRows(set, after);
  }

  /** Lists transactions of the set after a seq, oldest first. */
  transactions({ scopes }: EntitledSet, after: Seq, limit: number): TransactionListBody['transactions'] {
    return transactionsAfter(this.#db, scopes, after, limit);
  }

  /** Returns the tables that are set aside, by name. `row` is the committed state of the feed. */
  marked(row: FeedRow): readonly MarkedTable[] {
    return this.#marked.list(row);
  }

  /**
   * Lists the feed's tables for a set, with their marks. `after` is the terminal's seq, or null if its replica is empty.
   * `row` is the committed state of the feed.
   */
  tables(set: EntitledSet, after: Seq | null, row: FeedRow): TableListBody['tables'] {
    const marks = new Map(this.marked(row).map((table) => [table.name, table.setAside]));
    return this.#totals.list(set, after).map((table) => {
      const setAside = marks.get(table.name);
      return setAside ? { ...table, setAside } : table;
    });
  }

  /** Returns both ends of the log, or null if it is empty. */
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

  /** Returns the size of the log up to a seq, in bytes. */
  logBytes(at: Seq): number {
    const sql = 'SELECT sum_bytes FROM tidemark_seq WHERE seq <= ? ORDER BY seq DESC LIMIT 1';
    return query(this.#db, sql, value(INTEGER)).get(at) ?? 0;
  }

  /** Returns the schemas of the mirror's tables, ordered by name. */
  mirrorSchemas(): TableSchema[] {
    const stored = query(this.#db, 'SELECT schema FROM tidemark_table ORDER BY name', value(TEXT)).all();
    return stored.map((schema) => requireStoredSchema(this.#db, schema));
  }
}

const inMs = ({ committedAt, bytes }: { committedAt: string; bytes: number }): LogEnd => ({
  committedAtMs: Date.parse(committedAt),
  bytes,
});
