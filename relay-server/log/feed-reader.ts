import { createHash } from 'node:crypto';
import type { BehindBody, TableListBody, TransactionListBody } from '@tidemark/protocol/api';
import { type PageStart, type Seq, seq } from '@tidemark/protocol/cursor';
import { PAGE_BYTES, type PageHeader, type PageTrailer, PROTOCOL_VERSION } from '@tidemark/protocol/page';
import type { TableSchema } from '@tidemark/protocol/schema';
import { openReader, prepared, type Reader } from '@tidemark/table-store/sqlite';
import { Routers } from '../ingest/routed-writer.ts';
import { type EntitledSet, type Filters, scopesOf } from '../routing/filters.ts';
import { FEED_SQL, type FeedRow } from './log-format.ts';
import { inOrder, type LogEntry, logEntries } from './log-reader.ts';

interface Sums {
  transactions: number;
  changes: number;
  bytes: number;
}

interface TransactionRow {
  seq: Seq;
  committedAt: string;
  changes: number;
  bytes: number;
  tables: string;
}

interface LogEnd {
  committedAt: string;
  bytes: number;
}

/** A transaction of several scopes counts once; beyond so many they are not told apart. */
const COUNTED_MOST = 5_000;

/** Reads a feed's database: short reads, whose cost follows what is asked. */
export class FeedReader {
  readonly #db: Reader;
  readonly #feed: string;
  readonly #filters: Filters;
  readonly #routers: Routers;
  readonly #schemas = new Map<number, string>();

  constructor(file: string, feed: string, filters: Filters) {
    this.#db = openReader(file);
    this.#feed = feed;
    this.#filters = filters;
    this.#routers = new Routers(filters);
  }

  close(): void {
    this.#db.close();
  }

  feed(): FeedRow {
    return prepared(this.#db, FEED_SQL).get() as FeedRow;
  }

  /** Rows and tables that a terminal of the set has. */
  size(set: EntitledSet): { rows: number; tables: number } {
    const tables = this.#names().map((name) => this.#newest(set, name).rows);
    return { rows: tables.reduce((sum, rows) => sum + rows, 0), tables: tables.length };
  }

  /** What lies between a cursor and the head, in the set's scopes. */
  behind({ scopes }: EntitledSet, from: Seq, head: Seq): BehindBody {
    if (from >= head) return { transactions: 0, changes: 0, bytes: 0, oldestAt: null };
    const sum = { transactions: 0, changes: 0, bytes: 0 };
    let touched = 0;
    let oldest: { seq: Seq; at: string } | null = null;
    for (const scope of scopes) {
      const now = this.#sums(scope, head);
      const then = this.#sums(scope, from);
      if (now.changes === then.changes) continue;
      touched++;
      sum.transactions += now.transactions - then.transactions;
      sum.changes += now.changes - then.changes;
      sum.bytes += now.bytes - then.bytes;
      const first = prepared(
        this.#db,
        'SELECT seq, committed_at AS at FROM tidemark_transaction WHERE scope = ? AND seq > ? AND changes > 0 ORDER BY seq LIMIT 1',
      ).get(scope, from) as { seq: Seq; at: string } | undefined;
      if (first && (oldest === null || first.seq < oldest.seq)) oldest = first;
    }
    if (touched > 1) sum.transactions = this.#distinct(scopes, from, head, sum.transactions);
    return { ...sum, oldestAt: oldest?.at ?? null, ...(oldest === null ? {} : { oldest: oldest.seq }) };
  }

  /** Transactions after a seq, oldest first. */
  transactions({ scopes }: EntitledSet, after: Seq, limit: number): TransactionListBody['transactions'] {
    const list: (Omit<TransactionRow, 'tables'> & { tables: Set<string> })[] = [];
    for (const row of this.#transactions(scopes, after)) {
      const last = list.at(-1);
      if (last?.seq !== row.seq) {
        if (list.length === limit) break;
        list.push({ ...row, tables: new Set(JSON.parse(row.tables) as string[]) });
      } else {
        last.changes += row.changes;
        last.bytes += row.bytes;
        for (const name of JSON.parse(row.tables) as string[]) last.tables.add(name);
      }
    }
    return list.map((each) => ({ ...each, tables: [...each.tables] }));
  }

  /** Tables of the feed as the set has them, and what of each lies after a seq. */
  tables(set: EntitledSet, after: Seq | null): TableListBody['tables'] {
    return this.#names().map((name) => {
      const now = this.#newest(set, name);
      const waiting = after === null ? null : now.changes - this.#changesUpTo(set, name, after);
      return { name, rows: now.rows, waiting, lastChangeAt: now.at };
    });
  }

  /** The page of this name, as it is sent. The caller has checked that start and target lie in the log. */
  page(epoch: FeedRow['epoch'], set: EntitledSet, start: PageStart, target: Seq): Buffer {
    const { entries, more } = this.#entries(set, start, target);
    const header: PageHeader = { tidemark: PROTOCOL_VERSION, feed: this.#feed, epoch, scopes: set.id, start, target };
    const ids = new Set(entries.flatMap((entry) => JSON.parse(entry.ids) as number[]));
    const parts: Buffer[] = [line(header), ...[...ids].map((id) => Buffer.from(this.#schemaLine(id)))];
    let open = start.part > 0 ? start.seq + 1 : null;
    let changes = 0;
    let inOpen = 0;
    // What began in an earlier page is counted by the log.
    const end = (at: number) =>
      parts.push(line(['c', at, start.part > 0 && at === start.seq + 1 ? this.#changesOf(set, at) : inOpen]));
    for (const entry of entries) {
      if (entry.seq !== open) {
        if (open !== null) end(open);
        parts.push(line(['b', entry.seq, entry.committedAt]));
        open = entry.seq;
        inOpen = 0;
      }
      parts.push(entry.body);
      changes += entry.changes;
      inOpen += entry.changes;
    }
    const last = entries.at(-1);
    const goesOn = last !== undefined && more?.seq === last.seq;
    if (open !== null && !goesOn) end(open);
    const next: PageStart =
      more === null || last === undefined
        ? { seq: target, part: 0 }
        : goesOn
          ? { seq: seq(last.seq - 1), part: last.part }
          : { seq: seq(last.seq), part: 0 };
    const hash = createHash('sha256');
    for (const part of parts) hash.update(part);
    const trailer: PageTrailer = { next, changes, sha256: hash.digest('hex') };
    return Buffer.concat([...parts, line(trailer)]);
  }

  /** The oldest and the newest transaction of the log: when it was committed, and how large the log was after it. Null: there is none. */
  logSpan(): { oldest: LogEnd | null; newest: LogEnd | null } {
    const end = (order: 'ASC' | 'DESC') =>
      (prepared(
        this.#db,
        `SELECT committed_at AS committedAt, sum_bytes AS bytes FROM tidemark_seq ORDER BY seq ${order} LIMIT 1`,
      ).get() as LogEnd | undefined) ?? null;
    return { oldest: end('ASC'), newest: end('DESC') };
  }

  /** How large the log was after a transaction. */
  logBytes(at: Seq): number {
    const bytes = prepared(this.#db, 'SELECT sum_bytes FROM tidemark_seq WHERE seq <= ? ORDER BY seq DESC LIMIT 1');
    return (bytes.pluck().get(at) as number | undefined) ?? 0;
  }

  /** The mirror's tables, by name. */
  mirror(): { id: number; schema: TableSchema }[] {
    const rows = prepared(this.#db, 'SELECT id, schema FROM tidemark_table ORDER BY name').all() as {
      id: number;
      schema: string;
    }[];
    return rows.map(({ id, schema }) => ({ id, schema: JSON.parse(schema) as TableSchema }));
  }

  /** The entries of one page, and the one after them. */
  #entries(set: EntitledSet, start: PageStart, target: Seq): { entries: LogEntry[]; more: LogEntry | null } {
    const entries: LogEntry[] = [];
    let bytes = 0;
    for (const entry of logEntries(this.#db, set.scopes, start, target)) {
      if (bytes >= PAGE_BYTES) return { entries, more: entry };
      entries.push(entry);
      bytes += entry.body.length;
    }
    return { entries, more: null };
  }

  #transactions(scopes: string[], after: Seq): Iterable<TransactionRow> {
    return inOrder<TransactionRow>(this.#db, scopes, {
      select: 'SELECT seq, committed_at AS committedAt, changes, bytes, tables FROM tidemark_transaction',
      and: 'AND seq > ? AND changes > 0',
      values: [after],
      order: 'seq',
    });
  }

  #distinct(scopes: string[], from: Seq, head: Seq, most: number): number {
    const bound = Math.min(most, head - from);
    if (most > COUNTED_MOST) return bound;
    let count = 0;
    let last = 0;
    for (const row of this.#transactions(scopes, from)) {
      if (row.seq > head) break;
      if (row.seq !== last) count++;
      last = row.seq;
    }
    return count;
  }

  #changesOf({ scopes }: EntitledSet, at: number): number {
    const one = prepared(this.#db, 'SELECT changes FROM tidemark_transaction WHERE scope = ? AND seq = ?').pluck();
    return scopes.reduce((sum, scope) => sum + ((one.get(scope, at) as number | undefined) ?? 0), 0);
  }

  #names(): string[] {
    return prepared(this.#db, 'SELECT name FROM tidemark_table ORDER BY name').pluck().all() as string[];
  }

  /** Everyone's part of a table's totals is what concerns it as a whole. */
  #scopesOf(set: EntitledSet, table: string): string[] {
    return [...new Set(['*', ...scopesOf(this.#filters[table], set.attributes)])];
  }

  #newest(set: EntitledSet, table: string): { rows: number; changes: number; at: string | null } {
    const newest = prepared(
      this.#db,
      'SELECT committed_at AS at, sum_changes AS changes, rows FROM tidemark_table_change WHERE scope = ? AND name = ? ORDER BY seq DESC LIMIT 1',
    );
    const sum = { rows: 0, changes: 0, at: null as string | null };
    for (const scope of this.#scopesOf(set, table)) {
      const row = newest.get(scope, table) as { at: string; changes: number; rows: number } | undefined;
      if (!row) continue;
      sum.rows += row.rows;
      sum.changes += row.changes;
      if (row.changes > 0 && (sum.at === null || row.at > sum.at)) sum.at = row.at;
    }
    return sum;
  }

  #changesUpTo(set: EntitledSet, table: string, at: Seq): number {
    const then = prepared(
      this.#db,
      'SELECT sum_changes FROM tidemark_table_change WHERE scope = ? AND name = ? AND seq <= ? ORDER BY seq DESC LIMIT 1',
    ).pluck();
    return this.#scopesOf(set, table).reduce(
      (sum, scope) => sum + ((then.get(scope, table, at) as number | undefined) ?? 0),
      0,
    );
  }

  #sums(scope: string, at: Seq): Sums {
    const sums = prepared(
      this.#db,
      'SELECT sum_transactions AS transactions, sum_changes AS changes, sum_bytes AS bytes FROM tidemark_transaction WHERE scope = ? AND seq <= ? ORDER BY seq DESC LIMIT 1',
    ).get(scope, at) as Sums | undefined;
    return sums ?? { transactions: 0, changes: 0, bytes: 0 };
  }

  #schemaLine(id: number): string {
    let text = this.#schemas.get(id);
    if (text === undefined) {
      const row = prepared(this.#db, 'SELECT schema FROM tidemark_schema WHERE id = ?').get(id) as { schema: string };
      const { schema } = this.#routers.bind(id, JSON.parse(row.schema) as TableSchema);
      text = `${JSON.stringify(['s', id, schema])}\n`;
      this.#schemas.set(id, text);
    }
    return text;
  }
}

const line = (value: unknown) => Buffer.from(`${JSON.stringify(value)}\n`);
