import { LINE_BYTES } from '@tidemark/protocol/page';
import type { TableSchema } from '@tidemark/protocol/schema';
import type { Outbox } from './outbox.ts';

type RowKind = 'i' | 'u' | 'd' | 'p';

/** Writes transactions as lines. Rows of one kind and table that follow each other share a line. Rows come as JSON text. */
export class LineWriter {
  readonly #outbox: Outbox;
  readonly #declared = new Set<number>();
  #kind: RowKind = 'i';
  #id = 0;
  #rows: string[] = [];
  #size = 0;
  #changes = 0;

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
  }

  /** Declares a table, once in a session: the relay keeps what was declared. */
  declare(id: number, schema: TableSchema): void {
    if (this.#declared.has(id)) return;
    this.#declared.add(id);
    this.#endRun();
    this.#outbox.write(`${JSON.stringify(['s', id, schema])}\n`);
  }

  begin(position: string, committedAt: string): void {
    this.#changes = 0;
    this.#outbox.write(`["b","${position}","${committedAt}"]\n`);
  }

  beginBase(position: string, takenAt: string, why: string): void {
    this.#changes = 0;
    this.#outbox.write(`${JSON.stringify(['B', position, takenAt, why])}\n`);
  }

  row(kind: RowKind, id: number, row: string): void {
    if (kind !== this.#kind || id !== this.#id || this.#size >= LINE_BYTES) {
      this.#endRun();
      this.#kind = kind;
      this.#id = id;
    }
    this.#rows.push(row);
    this.#size += row.length;
    this.#changes++;
  }

  truncate(id: number): void {
    this.#endRun();
    this.#changes++;
    this.#outbox.write(`["t",${id}]\n`);
  }

  drop(name: string): void {
    this.#endRun();
    this.#changes++;
    this.#outbox.write(`${JSON.stringify(['x', name])}\n`);
  }

  /** Begins the load of a declared table, whose rows follow as inserts. `from`, `columns`: as the `L` line has them. */
  load(id: number, from: number | null, columns: (string | null)[]): void {
    this.#endRun();
    this.#outbox.write(`${JSON.stringify(['L', id, from, columns])}\n`);
  }

  endLoad(id: number): void {
    this.#endRun();
    this.#outbox.write(`["E",${id}]\n`);
  }

  commit(): void {
    this.#endRun();
    this.#outbox.write(`["c",${this.#changes}]\n`);
  }

  heartbeat(position: string, masterTime: string, current: boolean): void {
    this.#outbox.write(`["h","${position}","${masterTime}",${current}]\n`);
  }

  #endRun(): void {
    if (this.#rows.length === 0) return;
    this.#outbox.write(`["${this.#kind}",${this.#id},[${this.#rows.join(',')}]]\n`);
    this.#rows = [];
    this.#size = 0;
  }
}
