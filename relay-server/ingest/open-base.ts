import { seq } from '@tidemark/protocol/cursor';
import type { ChangeLine, PartialLine } from '@tidemark/protocol/lines';
import type { TableSchema } from '@tidemark/protocol/schema';
import { LogWriter } from '../log/log-writer.ts';
import { applyingLine, encodeLine, invalidLine } from './batch-lines.ts';
import type { IngestStore } from './ingest-store.ts';
import { BaseLoad } from './loads/base-load.ts';

/**
 * A base that has begun and not ended. It contains all rows of all tables as inserts. An `x` line discards a table whose
 * copy failed after some rows. The feed's first base becomes the
 * mirror. A later base is compared with the mirror at its end, and the difference enters the log as one transaction, so
 * that cursors stay valid.
 */
export class OpenBase {
  readonly #store: IngestStore;
  readonly #position: string;
  readonly #takenAt: string;
  readonly #why: string;
  /** Whether this is the feed's first base. */
  readonly #first: boolean;
  readonly #load: BaseLoad;
  #rows = 0;

  constructor(store: IngestStore, position: string, takenAt: string, why: string) {
    store.open();
    this.#store = store;
    this.#position = position;
    this.#takenAt = takenAt;
    this.#why = why;
    this.#first = store.feed.head === 0;
    this.#load = new BaseLoad(store.db, store.tables, store.routers, this.#first);
  }

  /** Declares a table of the base. Tables that the base does not declare leave the feed. */
  declare(id: number, schema: TableSchema): void {
    this.#load.declare(id, schema);
  }

  /** Adds rows, or discards the rows of a table. Throws batch_invalid for any other change. */
  change(line: ChangeLine | PartialLine, number: number): void {
    const id = line[0] === 'x' ? 0 : line[1];
    applyingLine(this.#store.place(number, id), () => {
      if (line[0] === 'x') {
        this.#load.discard(line[1]);
        this.#rows++;
        return;
      }
      const schema = line[0] === 'i' ? this.#store.schema(line[1]) : undefined;
      if (line[0] !== 'i' || !schema) throw invalidLine(number, 'a base holds inserts and discarded tables only');
      this.#load.declare(line[1], schema);
      this.#load.insert(line[1], line[2]);
      this.#rows += line[2].length;
    });
  }

  /**
   * Ends the base. Returns the scopes in which its difference changed rows. `rows` is the number of rows and discarded
   * tables that the feed sent.
   */
  end(rows: number, number: number): Iterable<string> {
    if (rows !== this.#rows) throw invalidLine(number, `the base has ${this.#rows} rows instead of ${rows}`);
    const store = this.#store;
    const next = store.feed.head + 1;
    store.onBase(this.#takenAt, this.#why);
    if (this.#first) {
      this.#load.finishFirst();
      store.startFrom(seq(next), this.#takenAt, this.#position);
      return [];
    }
    const log = new LogWriter(store.db, store.totals, next, this.#takenAt);
    let lines = 0;
    this.#load.finish(
      (line) => {
        lines++;
        store.write(log, line, encodeLine(line));
      },
      (id, finish) => applyingLine(store.place(number, id), finish),
    );
    if (lines === 0) {
      store.advance(store.feed.head, store.feed.committedAt ?? this.#takenAt, this.#position);
      return [];
    }
    log.end();
    store.advance(next, this.#takenAt, this.#position);
    return log.scopes;
  }
}
