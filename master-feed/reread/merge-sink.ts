import { isAfter, type SourcePosition } from '@tidemark/protocol/position';
import type { LineWriter } from '../batching/line-writer.ts';
import type { Flow, LogSink, NumberedTable, RowKind } from '../source.ts';
import { LINE_KINDS } from '../streaming/transaction-sink.ts';
import { checkedRow } from '../troubles/row-size.ts';

/**
 * Writes the changes of all transactions up to a position into one transaction, which the caller begins and commits.
 * Collects the tables that the log shows as altered; the caller re-reads them at that position.
 */
export class MergeSink implements LogSink {
  readonly #lines: LineWriter;
  readonly #flow: Flow;
  readonly #until: SourcePosition;
  readonly #onEnd: () => void;
  readonly #kept: ReadonlyMap<number, NumberedTable>;
  #ended = false;
  /** Kept tables that were altered before the position, so that their changes could not be followed to it. */
  readonly alteredTables: NumberedTable[] = [];

  /** Calls `onEnd` after the last transaction up to `until`. */
  constructor(lines: LineWriter, flow: Flow, kept: readonly NumberedTable[], until: SourcePosition, onEnd: () => void) {
    this.#lines = lines;
    this.#flow = flow;
    this.#kept = new Map(kept.map((numbered) => [numbered.table.id, numbered]));
    this.#until = until;
    this.#onEnd = onEnd;
  }

  get full(): boolean {
    return this.#flow.full;
  }

  room(): Promise<void> {
    return this.#flow.room();
  }

  begin(position: SourcePosition): void {
    if (isAfter(position, this.#until)) this.#end();
  }

  row(kind: RowKind, { number, table }: NumberedTable, json: string): void {
    if (this.#ended) return;
    this.#lines.declare(number, table.schema);
    this.#lines.row(LINE_KINDS[kind], number, checkedRow(table, json));
  }

  truncate({ number, table }: NumberedTable): void {
    if (this.#ended) return;
    this.#lines.declare(number, table.schema);
    this.#lines.truncate(number);
  }

  commit(): void {}

  altered(tableIds: readonly number[]): void {
    if (this.#ended) return;
    for (const id of tableIds) {
      const table = this.#kept.get(id);
      if (table && !this.alteredTables.includes(table)) this.alteredTables.push(table);
    }
  }

  reached(position: SourcePosition): void {
    if (!isAfter(this.#until, position)) this.#end();
  }

  /** A transaction is open at the relay, and a heartbeat must not interrupt it. */
  heartbeat(): void {}

  #end(): void {
    this.#ended = true;
    this.#onEnd();
  }
}
