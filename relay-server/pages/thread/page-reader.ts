import { createHash } from 'node:crypto';
import { type Epoch, type PageStart, type Seq, seq } from '@tidemark/protocol/cursor';
import { PAGE_BYTES, type PageHeader, type PageTrailer, PROTOCOL_VERSION } from '@tidemark/protocol/page';
import { INTEGER, query, TEXT, value } from '@tidemark/table-store/query';
import { guard, type Reader } from '@tidemark/table-store/sqlite';
import { requireStoredSchema } from '@tidemark/table-store/stored-schema';
import { FEED_ROW, FEED_SQL } from '../../log/log-format.ts';
import { type LogEntry, logEntries } from '../../log/log-reader.ts';
import type { EntitledSet, Filters } from '../../routing/filters.ts';
import { Routers } from '../../routing/routers.ts';
import { requireRange } from '../page-range.ts';

/**
 * Builds pages from the log: a header, the schemas that the page uses, the log entries verbatim between `b` and `c`
 * lines, and a trailer. The same name must always produce the same bytes. A page ends with the first entry that makes
 * it exceed PAGE_BYTES. A transaction may span pages; its `c` line is in the last of them and counts the changes of
 * all. A page is read in one transaction, so retention never removes a part of it.
 */

/** The id and the scopes of an entitled set. */
type PageSet = Pick<EntitledSet, 'id' | 'scopes'>;

export class PageReader {
  readonly #db: Reader;
  readonly #feed: string;
  readonly #routers: Routers;
  /** Encoded schema lines for terminals, by table id. */
  readonly #schemaLines = new Map<number, Buffer>();

  constructor(db: Reader, feed: string, filters: Filters) {
    this.#db = db;
    this.#feed = feed;
    this.#routers = new Routers(filters);
  }

  /**
   * Builds a page. Throws epoch_changed, behind_horizon, cursor_ahead or target_invalid if the log does not contain the
   * range, and db_*.
   */
  page(epoch: Epoch, set: PageSet, start: PageStart, target: Seq): Buffer {
    return guard(this.#db.name, () => {
      this.#db.exec('BEGIN');
      try {
        requireRange(query(this.#db, FEED_SQL, FEED_ROW).one(), epoch, start, target);
        return this.#build(epoch, set, start, target);
      } finally {
        if (this.#db.inTransaction) this.#db.exec('COMMIT');
      }
    });
  }

  #build(epoch: Epoch, set: PageSet, start: PageStart, target: Seq): Buffer {
    const { entries, following } = this.#entries(set, start, target);
    const header: PageHeader = { tidemark: PROTOCOL_VERSION, feed: this.#feed, epoch, scopes: set.id, start, target };
    const ids = new Set(entries.flatMap((entry) => JSON.parse(entry.ids) as number[]));
    const last = entries.at(-1);
    const continues = last !== undefined && following?.seq === last.seq;
    const { lines, changes } = this.#transactions(set, start, entries, continues);
    const parts = [line(header), ...[...ids].map((id) => this.#schemaLine(id)), ...lines];
    const hash = createHash('sha256');
    for (const part of parts) hash.update(part);
    const next = nextStart(target, last, following, continues);
    const trailer: PageTrailer = { next, changes, sha256: hash.digest('hex') };
    return Buffer.concat([...parts, line(trailer)]);
  }

  /** Returns the entries of the page and the entry after them, or null if there is none. */
  #entries(set: PageSet, start: PageStart, target: Seq): { entries: LogEntry[]; following: LogEntry | null } {
    const entries: LogEntry[] = [];
    let bytes = 0;
    for (const entry of logEntries(this.#db, set.scopes, start, target)) {
      if (bytes >= PAGE_BYTES) return { entries, following: entry };
      entries.push(entry);
      bytes += entry.body.length;
    }
    return { entries, following: null };
  }

  /**
   * Returns the entries with their `b` and `c` lines. `continues` states whether the last transaction continues in the
   * next page.
   */
  #transactions(
    set: PageSet,
    start: PageStart,
    entries: LogEntry[],
    continues: boolean,
  ): { lines: Buffer[]; changes: number } {
    const lines: Buffer[] = [];
    const continued = start.part > 0 ? start.seq + 1 : null;
    let open = continued;
    let changes = 0;
    let openChanges = 0;
    // For a transaction that began in an earlier page, read the count from the log.
    const commit = (at: number) =>
      lines.push(line(['c', at, at === continued ? this.#changesOf(set, at) : openChanges]));
    for (const entry of entries) {
      if (entry.seq !== open) {
        if (open !== null) commit(open);
        lines.push(line(['b', entry.seq, entry.committedAt]));
        open = entry.seq;
        openChanges = 0;
      }
      lines.push(entry.body);
      changes += entry.changes;
      openChanges += entry.changes;
    }
    if (open !== null && !continues) commit(open);
    return { lines, changes };
  }

  /** Returns the number of a transaction's changes in the set's scopes, over all its parts. */
  #changesOf({ scopes }: PageSet, at: number): number {
    const sql = 'SELECT changes FROM tidemark_transaction WHERE scope = ? AND seq = ?';
    const changes = query(this.#db, sql, value(INTEGER));
    return scopes.reduce((sum, scope) => sum + (changes.get(scope, at) ?? 0), 0);
  }

  /** Returns the `s` line of a table id, with the columns that terminals receive. */
  #schemaLine(id: number): Buffer {
    let known = this.#schemaLines.get(id);
    if (!known) {
      const stored = query(this.#db, 'SELECT schema FROM tidemark_schema WHERE id = ?', value(TEXT)).one(id);
      const { schema } = this.#routers.bind(id, requireStoredSchema(this.#db, stored));
      known = line(['s', id, schema]);
      this.#schemaLines.set(id, known);
    }
    return known;
  }
}

/**
 * Returns the start of the next page. `following` is the first entry after this page, or null if the page reaches the
 * target.
 */
function nextStart(target: Seq, last: LogEntry | undefined, following: LogEntry | null, continues: boolean): PageStart {
  if (following === null || last === undefined) return { seq: target, part: 0 };
  return continues ? { seq: seq(last.seq - 1), part: last.part } : { seq: seq(last.seq), part: 0 };
}

const line = (value: unknown) => Buffer.from(`${JSON.stringify(value)}\n`);
