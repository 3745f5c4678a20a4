import { LINE_BYTES } from '@tidemark/protocol/page';
import type { TableSchema } from '@tidemark/protocol/schema';
import type { Outbox } from './outbox.ts';

/** Kinds of row lines, defined in protocol/lines.ts. */
export type LineKind = 'i' | 'u' | 'd' | 'p';

/**
 * Writes transactions as lines of a batch. Consecutive rows of the same kind and table share a line. Rows arrive as
 * JSON text, because parsing and re-encoding them would take most of a feed's time.
 *
 * The caller must call begin, rows, commit in this order, and must declare a table before its first row.
 */
export class LineWriter {
  readonly #outbox: Outbox;
  readonly #declared = new Map<number, string>();
  #kind: LineKind = 'i';
  #id = 0;
  #rows: string[] = [];
  #size = 0;
  #changes = 0;

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
  }

  /**
   * Declares a table. Only the first call for a table in a session writes a line, because the relay keeps declarations.
   */
  declare(id: number, schema: TableSchema): void {
    if (this.#declared.has(id)) return;
    this.#declared.set(id, schema.name);
    this.#endLine();
    this.#outbox.write(`${JSON.stringify(['s', id, schema])}\n`);
  }

  /** Returns the name of a declared table. */
  nameOf(id: number): string | undefined {
    return this.#declared.get(id);
  }

  begin(position: string, committedAt: string): void {
    this.#changes = 0;
    this.#outbox.write(`["b","${position}","${committedAt}"]\n`);
  }

  beginBase(position: string, takenAt: string, why: string): void {
    this.#changes = 0;
    this.#outbox.write(`${JSON.stringify(['B', position, takenAt, why])}\n`);
  }

  row(kind: LineKind, id: number, row: string): void {
    if (kind !== this.#kind || id !== this.#id || this.#size >= LINE_BYTES) {
      this.#endLine();
      this.#kind = kind;
      this.#id = id;
    }
    this.#rows.push(row);
    this.#size += row.length;
    this.#changes++;
  }

  truncate(id: number): void {
    this.#endLine();
    this.#changes++;
    this.#outbox.write(`["t",${id}]\n`);
  }

  /** Turns table `from` into the declared table `id`. `columns` are those of the `a` line. */
  alter(id: number, from: number, columns: (string | null)[]): void {
    this.#endLine();
    this.#changes++;
    this.#outbox.write(`${JSON.stringify(['a', id, from, columns])}\n`);
  }

  /** Drops a table. In a base copy or in the load of the table, discards the rows sent so far. */
  drop(name: string): void {
    this.#endLine();
    this.#changes++;
    this.#outbox.write(`${JSON.stringify(['x', name])}\n`);
  }

  /**
   * Begins the load of a declared table. Its rows follow as inserts. `from` and `columns` are those of the `L` line.
   */
  load(id: number, from: number | null, columns: (string | null)[]): void {
    this.#endLine();
    this.#outbox.write(`${JSON.stringify(['L', id, from, columns])}\n`);
  }

  endLoad(id: number): void {
    this.#endLine();
    this.#outbox.write(`["E",${id}]\n`);
  }

  commit(): void {
    this.#endLine();
    this.#outbox.write(`["c",${this.#changes}]\n`);
  }

  heartbeat(position: string, masterTime: string, current: boolean): void {
    this.#outbox.write(`["h","${position}","${masterTime}",${current}]\n`);
  }

  #endLine(): void {
    if (this.#rows.length === 0) return;
    this.#outbox.write(`["${this.#kind}",${this.#id},[${this.#rows.join(',')}]]\n`);
    this.#rows = [];
    this.#size = 0;
  }
}
