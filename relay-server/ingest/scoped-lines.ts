import type { WireRow } from '@tidemark/protocol/lines';
import { type LogWriter, nameOfKey } from '../log/log-writer.ts';
import type { Router } from '../routing/router.ts';
import { encodeLine } from './batch-lines.ts';

type RowKind = 'i' | 'u' | 'd';

/** Consecutive rows of one kind in a scope. */
interface Run {
  kind: RowKind;
  rows: WireRow[];
}

/** Returns by how many rows changes of a kind grow a table. Negative for deletes. */
export const rowsAdded = (kind: RowKind, rows: number): number => (kind === 'i' ? rows : kind === 'd' ? -rows : 0);

/**
 * Distributes the rows of one line to lines of their scopes and adds these to the log. When a key moves between scopes,
 * the delete must precede the insert, because a terminal with both scopes applies the entries in log order.
 */
export class ScopedLines {
  readonly #log: LogWriter;
  readonly #id: number;
  readonly #router: Router;
  readonly #bytes: Buffer;
  readonly #count: number;
  /** The rows of the next line, by scope. */
  readonly #runs = new Map<string, Run>();
  /** By deleted key, the scope of the delete. The line may insert the key into another scope later. */
  readonly #deleted = new Map<string | number | null, string>();

  /**
   * `bytes` is the encoded line with `count` rows. It is logged verbatim if all rows are in one scope and keep all
   * columns.
   */
  constructor(log: LogWriter, id: number, router: Router, bytes: Buffer, count: number) {
    this.#log = log;
    this.#id = id;
    this.#router = router;
    this.#bytes = bytes;
    this.#count = count;
  }

  /** Adds an insert. `scope` is null if no terminal receives the row. */
  insert(scope: string | null, row: WireRow): void {
    if (scope === null) return;
    const key = this.#router.keyOf(row);
    if (this.#deleted.size > 0) {
      const before = this.#deleted.get(nameOfKey(key));
      if (before !== undefined && before !== scope) this.#write(before);
    }
    this.#log.beforeInsert(scope, this.#id, key);
    this.#add(scope, 'i', row);
  }

  update(scope: string, row: WireRow): void {
    this.#add(scope, 'u', row);
  }

  delete(scope: string | null, key: WireRow): void {
    if (scope === null) return;
    this.#add(scope, 'd', key);
    this.#deleted.set(nameOfKey(key), scope);
  }

  /** Writes the remaining lines. */
  end(): void {
    for (const scope of [...this.#runs.keys()]) this.#write(scope);
  }

  /** Adds a row to the scope's line. A row of another kind first ends the line, to keep the order within the scope. */
  #add(scope: string, kind: RowKind, row: WireRow): void {
    let run = this.#runs.get(scope);
    if (run && run.kind !== kind) {
      this.#write(scope);
      run = undefined;
    }
    if (!run) {
      run = { kind, rows: [] };
      this.#runs.set(scope, run);
    }
    run.rows.push(row);
  }

  #write(scope: string): void {
    const run = this.#runs.get(scope);
    if (!run) return;
    this.#runs.delete(scope);
    const { kind, rows } = run;
    const verbatim =
      rows.length === this.#count && this.#router.keepsAllColumns && this.#bytes.toString('latin1', 2, 3) === kind;
    const sent = rows.map((row) => (kind === 'd' ? this.#router.projectKey(row) : this.#router.project(row)));
    const bytes = verbatim ? this.#bytes : encodeLine([kind, this.#id, sent]);
    const changes = rows.length;
    this.#log.add({
      scope,
      bytes,
      changes,
      id: this.#id,
      table: this.#router.schema.name,
      rows: rowsAdded(kind, changes),
    });
    if (kind === 'd') for (const key of rows) this.#log.onDelete(scope, this.#id, key);
  }
}
