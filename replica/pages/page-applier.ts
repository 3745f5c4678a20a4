import { TidemarkError } from '@tidemark/protocol/errors';
import { type ChangeLine, changesIn, PageLine } from '@tidemark/protocol/lines';
import type { TableSchema } from '@tidemark/protocol/schema';
import type { Counts, FeedTables } from '@tidemark/table-store/feed-tables';
import { isRejection } from '@tidemark/table-store/third-party-objects';
import { linesOf } from './page-reader.ts';

/**
 * Reads the lines of a page and applies them to the feed's tables, in order.
 *
 * It checks that transactions begin, end and follow each other correctly, and that each has the announced number of
 * changes. It does not know pages, spool or cursor. It runs inside the caller's transaction, which rolls back when a
 * line is invalid.
 */

/**
 * Lines whose rows are checked only when they are written. A schema check of each value here would cost more than the
 * write.
 */
const ROW_LINES = new Set(['i', 'u', 'd']);

/** Applies lines and counts changes by table. A transaction may span several calls of {@link PageApplier.apply}. */
export class PageApplier {
  readonly #tables: FeedTables;
  readonly #schemas = new Map<number, TableSchema>();
  readonly #declared = new Set<number>();
  readonly counts = new Map<string, Counts>();
  /** The transaction that has begun but not ended. Null: none. */
  #seq: number | null = null;
  /** Number of the transaction's changes so far. */
  #changes = 0;
  #totalChanges = 0;
  /** Commit time at the master of the last transaction that began (ISO 8601). */
  committedAt: string | null = null;
  lastSeq: number;
  transactions = 0;

  /** `afterSeq`: the last transaction that was applied to the tables. */
  constructor(tables: FeedTables, afterSeq: number) {
    this.#tables = tables;
    this.lastSeq = afterSeq;
  }

  /** Whether a transaction has begun but not ended. */
  get open(): boolean {
    return this.#seq !== null;
  }

  /**
   * Applies lines and returns the number of their changes. Throws `page_invalid`, `replica_altered`, `name_clash`,
   * `schema_mismatch`.
   */
  apply(body: Buffer): number {
    const before = this.#totalChanges;
    for (const { text } of linesOf(body)) this.#line(readLine(text));
    return this.#totalChanges - before;
  }

  #line(line: PageLine): void {
    switch (line[0]) {
      case 's':
        this.#schemas.set(line[1], line[2]);
        return;
      case 'b':
        if (this.#seq !== null) throw invalid(`transaction ${line[1]} begins inside ${this.#seq}`);
        if (line[1] <= this.lastSeq) throw invalid(`transaction ${line[1]} comes after ${this.lastSeq}`);
        this.#seq = line[1];
        this.#changes = 0;
        this.committedAt = line[2];
        return;
      case 'c':
        if (this.#seq !== line[1]) throw invalid(`transaction ${line[1]} ends but did not begin`);
        if (this.#changes !== line[2])
          throw invalid(`transaction ${line[1]} has ${this.#changes} changes instead of ${line[2]}`);
        this.lastSeq = line[1];
        this.transactions++;
        this.#seq = null;
        return;
      default:
        if (this.#seq === null) throw invalid('a change is outside of a transaction');
        this.#changes += changesIn(line);
        this.#totalChanges += changesIn(line);
        this.#count(line, this.#change(line));
    }
  }

  #change(line: ChangeLine): Counts {
    try {
      // A table is created at its first change, so that it appears together with that transaction.
      if (line[0] !== 'x') this.#declare(line[1], line[0] !== 'a');
      return this.#tables.apply(line);
    } catch (error) {
      if (!isRejection(error)) throw error;
      const table = line[0] === 'x' ? line[1] : (this.#schemas.get(line[1])?.name ?? '');
      throw new TidemarkError('replica_altered', { table, detail: error.message }, error);
    }
  }

  #declare(id: number, create: boolean): void {
    if (this.#declared.has(id)) return;
    const schema = this.#schemas.get(id);
    if (!schema) throw invalid(`table id ${id} is not declared`);
    this.#tables.declare(id, schema, create);
    this.#declared.add(id);
  }

  #count(line: ChangeLine, counts: Counts): void {
    // The line changed only the mark of a table. The run reports marks separately.
    if (line[0] === 'a' && counts.truncated === 0) return;
    const sum = this.counts.get(counts.name);
    if (!sum) {
      this.counts.set(counts.name, counts);
      return;
    }
    sum.inserted += counts.inserted;
    sum.updated += counts.updated;
    sum.deleted += counts.deleted;
    sum.truncated += counts.truncated;
  }
}

function readLine(text: string): PageLine {
  let line: unknown;
  try {
    line = JSON.parse(text);
  } catch (error) {
    throw new TidemarkError('page_invalid', { detail: 'a line is not JSON' }, error);
  }
  if (
    Array.isArray(line) &&
    ROW_LINES.has(line[0] as string) &&
    line.length === 3 &&
    typeof line[1] === 'number' &&
    Array.isArray(line[2])
  )
    return line as PageLine;
  const parsed = PageLine.safeParse(line);
  if (!parsed.success) throw invalid(`a line is of no known kind: ${text.slice(0, 80)}`);
  return parsed.data;
}

const invalid = (detail: string) => new TidemarkError('page_invalid', { detail });
