import { TidemarkError } from '@tidemark/protocol/errors';
import { type ChangeLine, changesIn, type LoadLine, type PartialLine, type WireRow } from '@tidemark/protocol/lines';
import { ROW_BYTES } from '@tidemark/protocol/page';
import { LogWriter } from '../log/log-writer.ts';
import { applyingLine, encodeLine, invalidLine } from './batch-lines.ts';
import type { IngestStore } from './ingest-store.ts';
import { TableLoad } from './loads/table-load.ts';

type RowLine = Extract<ChangeLine, { 0: 'i' | 'u' | 'd' }>;

/**
 * A transaction of the master that has begun and not ended. Changes go to the mirror and the log as they arrive. A load
 * replaces all rows of one table; until it ends, only inserts of that table may arrive, or an `x` line with its name, which
 * discards the load.
 */
export class OpenTransaction {
  readonly #store: IngestStore;
  readonly #position: string;
  readonly #log: LogWriter;
  /** The load in progress, and the table id of its rows. */
  #load: { id: number; table: TableLoad } | null = null;
  /** Number of changes so far, to compare with the number that the feed sends at the end. */
  #changes = 0;

  constructor(store: IngestStore, position: string, committedAt: string) {
    store.open();
    this.#store = store;
    this.#position = position;
    this.#log = new LogWriter(store.db, store.totals, store.feed.head + 1, committedAt);
  }

  /**
   * Applies a line. `bytes` is the encoded line; `number` is its number in the batch, for errors. Throws batch_invalid.
   */
  change(line: ChangeLine | PartialLine, bytes: Buffer, number: number): void {
    const id = line[0] === 'x' ? 0 : line[1];
    applyingLine(this.#store.place(number, id), () => {
      this.#changes += changesIn(line);
      if (this.#load) {
        if (line[0] === 'x' && line[1] === this.#load.table.name) {
          this.#load.table.discard();
          this.#load = null;
          return;
        }
        if (line[0] !== 'i' || line[1] !== this.#load.id)
          throw invalidLine(number, 'a load holds the inserts of its table only');
        this.#load.table.insert(line[2]);
      } else if (line[0] === 'p') this.#partial(line);
      else this.#store.write(this.#log, line, bytes);
    });
  }

  /** Begins the load of one table. Throws batch_invalid. */
  beginLoad([, id, from, columns]: LoadLine, number: number): void {
    if (this.#load) throw invalidLine(number, 'a load begins inside another');
    const schema = this.#store.schema(id);
    if (!schema) throw invalidLine(number, `table id ${id} is not declared`);
    if (columns.length !== schema.columns.length)
      throw invalidLine(number, 'it does not name the old column of each column', schema.name);
    const { db, tables, routers } = this.#store;
    this.#load = applyingLine(this.#store.place(number, id), () => ({
      id,
      table: new TableLoad(db, tables, routers, { id, schema, from, columns }),
    }));
  }

  /** Ends the load: writes the difference between the loaded rows and the mirror. Throws batch_invalid. */
  endLoad(id: number, number: number): void {
    const load = this.#load;
    if (load?.id !== id) throw invalidLine(number, 'a load ends but did not begin');
    applyingLine(this.#store.place(number, id), () =>
      load.table.finish((line) => this.#store.write(this.#log, line, encodeLine(line))),
    );
    this.#load = null;
  }

  /**
   * Ends the transaction. Returns the scopes in which it changed rows. `changes` is the number of changes that the feed
   * sent.
   */
  end(changes: number, number: number): Iterable<string> {
    if (this.#load) throw invalidLine(number, 'a transaction ends inside a load');
    if (changes !== this.#changes)
      throw invalidLine(number, `the transaction has ${this.#changes} changes instead of ${changes}`);
    this.#log.end();
    this.#store.advance(this.#log.seq, this.#log.committedAt, this.#position);
    return this.#log.scopes;
  }

  /**
   * Writes rows whose large unchanged values the master omitted. Writes each row before it completes the next, which
   * may be the same row again.
   */
  #partial([, id, rows]: PartialLine): void {
    for (const partial of rows)
      for (const line of this.#completed(id, partial)) {
        const bytes = encodeLine(line);
        if (bytes.length > ROW_BYTES) this.#requireRowSize(line);
        this.#store.write(this.#log, line, bytes);
      }
  }

  /** The feed checks only the values that the master sent. The completed row may exceed the limit that they keep. */
  #requireRowSize([, id, [row]]: RowLine): void {
    const bytes = Buffer.byteLength(JSON.stringify(row));
    if (bytes <= ROW_BYTES) return;
    const table = this.#store.schema(id)?.name ?? '';
    const detail = `an updated row of ${table} has ${bytes.toLocaleString('en-GB')} bytes, and the limit is ${ROW_BYTES.toLocaleString('en-GB')}`;
    throw new TidemarkError('batch_invalid', { detail, table, reason: 'row_too_large' });
  }

  /**
   * Completes one such row from the mirror. Returns a delete and an insert if the key changed, and an update otherwise.
   */
  #completed(id: number, [oldKey, present, values]: PartialLine[2][number]): RowLine[] {
    const schema = this.#store.schema(id);
    if (!schema) return [];
    const keyAt = schema.key.map((name) => schema.columns.findIndex((column) => column.name === name));
    const sent = new Map(present.map((column, i) => [column, values[i] ?? null]));
    const key = oldKey ?? keyAt.map((column) => sent.get(column) ?? null);
    const old = this.#store.tables.readByKey(id, key);
    if (!old)
      throw new TidemarkError('batch_invalid', {
        detail: `a row of ${schema.name} was updated that the mirror does not hold`,
        table: schema.name,
      });
    const row: WireRow = old.map((value, column) => (sent.has(column) ? (sent.get(column) ?? null) : value));
    if (oldKey === null) return [['u', id, [row]]];
    return [
      ['d', id, [oldKey]],
      ['i', id, [row]],
    ];
  }
}
