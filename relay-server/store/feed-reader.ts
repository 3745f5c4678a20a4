import { createHash } from 'node:crypto';
import type { Behind, TableList, TransactionList } from '@tidemark/protocol/api.ts';
import { type PageStart, type Seq, seq } from '@tidemark/protocol/cursor.ts';
import { EVERYONE, PAGE_BYTES, type PageHeader, type PageTrailer, PROTOCOL_VERSION } from '@tidemark/protocol/page.ts';
import { openReader, prepared, type Reader } from '@tidemark/replica/sqlite.ts';
import { EVERYONE_SCOPE, FEED_SQL, type FeedRow } from './log-format.ts';

interface Sums {
  transactions: number;
  changes: number;
  bytes: number;
}

interface Entry {
  seq: number;
  part: number;
  body: Buffer;
  changes: number;
  ids: string;
  last: number;
}

/** Reads a feed's database: short reads, whose cost follows what is asked. */
export class FeedReader {
  readonly #db: Reader;
  readonly #feed: string;
  readonly #schemas = new Map<number, string>();

  constructor(file: string, feed: string) {
    this.#db = openReader(file);
    this.#feed = feed;
  }

  close(): void {
    this.#db.close();
  }

  feed(): FeedRow {
    return prepared(this.#db, FEED_SQL).get() as FeedRow;
  }

  /** Rows and tables of the mirror. */
  size(): { rows: number; tables: number } {
    return prepared(
      this.#db,
      'SELECT coalesce(sum(rows), 0) AS rows, count(*) AS tables FROM tidemark_table',
    ).get() as {
      rows: number;
      tables: number;
    };
  }

  /** What lies between a cursor and the head. */
  behind(from: Seq, head: Seq): Behind {
    if (from >= head) return { transactions: 0, changes: 0, bytes: 0, oldestAt: null };
    const a = this.#sums(from);
    const b = this.#sums(head);
    const oldest = prepared(
      this.#db,
      'SELECT committed_at AS at FROM tidemark_transaction WHERE scope = ? AND seq > ? ORDER BY seq LIMIT 1',
    ).get(EVERYONE_SCOPE, from) as { at: string } | undefined;
    return {
      transactions: b.transactions - a.transactions,
      changes: b.changes - a.changes,
      bytes: b.bytes - a.bytes,
      oldestAt: oldest?.at ?? null,
    };
  }

  /** Transactions after a seq, oldest first. */
  transactions(after: Seq, limit: number): TransactionList['transactions'] {
    const rows = prepared(
      this.#db,
      'SELECT seq, committed_at AS committedAt, changes, bytes, tables FROM tidemark_transaction WHERE scope = ? AND seq > ? ORDER BY seq LIMIT ?',
    ).all(EVERYONE_SCOPE, after, limit) as {
      seq: Seq;
      committedAt: string;
      changes: number;
      bytes: number;
      tables: string;
    }[];
    return rows.map((row) => ({ ...row, tables: JSON.parse(row.tables) as string[] }));
  }

  /** Tables of the mirror, and what of each lies after a seq. */
  tables(after: Seq | null): TableList['tables'] {
    const newest = prepared(
      this.#db,
      'SELECT committed_at AS at, sum_changes AS sum FROM tidemark_table_change WHERE scope = ? AND name = ? ORDER BY seq DESC LIMIT 1',
    );
    const then = prepared(
      this.#db,
      'SELECT sum_changes AS sum FROM tidemark_table_change WHERE scope = ? AND name = ? AND seq <= ? ORDER BY seq DESC LIMIT 1',
    );
    const tables = prepared(this.#db, 'SELECT name, rows FROM tidemark_table ORDER BY name').all() as {
      name: string;
      rows: number;
    }[];
    return tables.map(({ name, rows }) => {
      const now = newest.get(EVERYONE_SCOPE, name) as { at: string; sum: number } | undefined;
      const before =
        after === null ? undefined : (then.get(EVERYONE_SCOPE, name, after) as { sum: number } | undefined);
      return {
        name,
        rows,
        waiting: after === null ? null : (now?.sum ?? 0) - (before?.sum ?? 0),
        lastChangeAt: now?.at ?? null,
      };
    });
  }

  /** The page of this name, as it is sent. The caller has checked that start and target lie in the log. */
  page(epoch: FeedRow['epoch'], start: PageStart, target: Seq): Buffer {
    const entries: Entry[] = [];
    let bytes = 0;
    const read = prepared(
      this.#db,
      'SELECT seq, part, body, changes, ids, last FROM tidemark_log WHERE scope = ? AND (seq, part) > (?, ?) AND seq <= ? ORDER BY seq, part',
    ).iterate(EVERYONE_SCOPE, start.seq + 1, start.part, target) as IterableIterator<Entry>;
    for (const entry of read) {
      entries.push(entry);
      bytes += entry.body.length;
      if (bytes >= PAGE_BYTES) break;
    }
    const end = entries.at(-1);
    const next: PageStart =
      end === undefined || (end.last === 1 && end.seq === target)
        ? { seq: target, part: 0 }
        : end.last === 1
          ? { seq: seq(end.seq), part: 0 }
          : { seq: seq(end.seq - 1), part: end.part };
    const ids = new Set(entries.flatMap((entry) => JSON.parse(entry.ids) as number[]));
    const header: PageHeader = { tidemark: PROTOCOL_VERSION, feed: this.#feed, epoch, scopes: EVERYONE, start, target };
    const parts = [
      line(header),
      ...[...ids].map((id) => Buffer.from(this.#schemaLine(id))),
      ...entries.map((entry) => entry.body),
    ];
    const hash = createHash('sha256');
    for (const part of parts) hash.update(part);
    const trailer: PageTrailer = {
      next,
      changes: entries.reduce((sum, entry) => sum + entry.changes, 0),
      sha256: hash.digest('hex'),
    };
    return Buffer.concat([...parts, line(trailer)]);
  }

  #sums(at: Seq): Sums {
    const sums = prepared(
      this.#db,
      'SELECT sum_transactions AS transactions, sum_changes AS changes, sum_bytes AS bytes FROM tidemark_transaction WHERE scope = ? AND seq <= ? ORDER BY seq DESC LIMIT 1',
    ).get(EVERYONE_SCOPE, at) as Sums | undefined;
    return sums ?? { transactions: 0, changes: 0, bytes: 0 };
  }

  #schemaLine(id: number): string {
    let text = this.#schemas.get(id);
    if (text === undefined) {
      const row = prepared(this.#db, 'SELECT schema FROM tidemark_schema WHERE id = ?').get(id) as { schema: string };
      text = `["s",${id},${row.schema}]\n`;
      this.#schemas.set(id, text);
    }
    return text;
  }
}

const line = (value: unknown) => Buffer.from(`${JSON.stringify(value)}\n`);
