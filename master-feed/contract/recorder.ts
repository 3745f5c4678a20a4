import { expect } from 'vitest';
import type { LogReader, LogSink, NumberedTable, RowKind } from '../source.ts';

/** A transaction that the sink received. */
interface Received {
  position: string;
  changes: string[];
}

/** Records all calls of a source, and wakes the tests that wait for them. */
export class Recorder implements LogSink {
  readonly full = false;
  readonly transactions: Received[] = [];
  readonly heartbeats: { position: string; current: boolean }[] = [];
  readonly altered: (ids: readonly number[]) => void;
  readonly alteredIds: number[] = [];
  /** Ids of the tables of all received rows. */
  readonly tableIds = new Set<number>();
  #open: Received | null = null;
  #waiting: (() => void)[] = [];

  constructor() {
    this.altered = (ids) => {
      this.alteredIds.push(...ids);
      this.#wake();
    };
  }

  async room(): Promise<void> {}

  begin(position: string): void {
    expect(this.#open, 'a transaction begins inside another').toBeNull();
    this.#open = { position, changes: [] };
  }

  row(kind: RowKind, { table }: NumberedTable, json: string): void {
    this.tableIds.add(table.id);
    this.#open?.changes.push(`${kind} ${table.schema.name} ${json}`);
  }

  truncate({ table }: NumberedTable): void {
    this.#open?.changes.push(`truncate ${table.schema.name}`);
  }

  commit(): void {
    // Skip transactions without published changes: a source may report them or not.
    if (this.#open && this.#open.changes.length > 0) this.transactions.push(this.#open);
    this.#open = null;
    this.#wake();
  }

  heartbeat(position: string, _: string, current: boolean): void {
    expect(this.#open, 'a heartbeat inside a transaction').toBeNull();
    this.heartbeats.push({ position, current });
    this.#wake();
  }

  /** Resolves when `isDone` returns true. Rejects if the stream fails first. */
  async until(reader: LogReader, isDone: () => boolean): Promise<void> {
    while (!isDone()) {
      await Promise.race([new Promise<void>((resolve) => this.#waiting.push(resolve)), reader.failed]);
    }
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
