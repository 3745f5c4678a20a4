import type { WireRow } from '@tidemark/protocol/lines';
import { type LogWriter, nameOfKey } from '../log/log-writer.ts';
import type { Router } from '../routing/router.ts';
import { encodeLine } from './batch-lines.ts';

type RowKind = 'i' | 'u' | 'd';

/** Rows of one kind that follow each other in a scope. */
interface Run {
  kind: RowKind;
  rows: WireRow[];
}

/** How many rows a table gains by changes of a kind; below 0: it loses them. */
export const rowsAdded = (kind: RowKind, rows: number): number => (kind === 'i' ? rows : kind === 'd' ? -rows : 0);

/**
 * Sorts the rows of one line into lines of their scopes, in order, and adds these to the log. A key that leaves a scope is
 * deleted there before it is inserted in another, because terminals of both apply the entries in that order.
 */
export class ScopedLines {
  readonly #log: LogWriter;
  readonly #id: number;
  readonly #router: Router;
  readonly #bytes: Buffer;
  readonly #count: number;
  /** By scope, the rows that will be its next line. */
  readonly #runs = new Map<string, Run>();
  /** By key that the line deletes, the scope: the key may be inserted in another one later in the line. */
  readonly #deleted = new Map<string | number | null, string>();

  /** `bytes`: the line of `count` rows. It is logged verbatim when all of them stay together and keep all columns. */
  constructor(log: LogWriter, id: number, router: Router, bytes: Buffer, count: number) {
    this.#log = log;
    this.#id = id;
    this.#router = router;
    this.#bytes = bytes;
    this.#count = count;
  }

  /** `scope` null: no terminal receives the row. */
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

  /** Writes the lines that are still open. */
  end(): void {
    for (const scope of [...this.#runs.keys()]) this.#write(scope);
  }

  /** A row of another kind ends the scope's line, so that the order within the scope is kept. */
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
    const verbatim = rows.length === this.#count && this.#router.whole && this.#bytes.toString('latin1', 2, 3) === kind;
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
