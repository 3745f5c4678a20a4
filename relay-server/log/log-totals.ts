import { INTEGER, query, row } from '@tidemark/table-store/query';
import type { Writer } from '@tidemark/table-store/sqlite';

/**
 * A cache of the newest running totals by scope, and by scope and table, so that a transaction need not query them. The
 * log writer changes them in place. They belong to one connection and must be cleared when it rolls back.
 */

/** Totals of a scope since its log began. */
interface ScopeSums {
  transactions: number;
  changes: number;
  bytes: number;
}

/** Totals of a table in a scope. `rows` is the current number of rows. */
interface TableSums {
  changes: number;
  rows: number;
}

/**
 * Maximum number of cached totals, separately for scopes and tables. Above it, the cache is emptied and queries fill it
 * again.
 */
const KEPT_MAX = 50_000;

const SCOPE_SUMS = row({ transactions: INTEGER, changes: INTEGER, bytes: INTEGER });
const TABLE_SUMS = row({ changes: INTEGER, rows: INTEGER });

export class LogTotals {
  readonly #db: Writer;
  readonly #scopes = new Map<string, ScopeSums>();
  readonly #tables = new Map<string, TableSums>();

  constructor(db: Writer) {
    this.#db = db;
  }

  clear(): void {
    this.#scopes.clear();
    this.#tables.clear();
  }

  /** Returns the newest totals of a scope; zeros if it has none. */
  ofScope(scope: string): ScopeSums {
    const known = this.#scopes.get(scope);
    if (known) return known;
    const sums = query(
      this.#db,
      'SELECT sum_transactions AS transactions, sum_changes AS changes, sum_bytes AS bytes FROM tidemark_transaction WHERE scope = ? ORDER BY seq DESC LIMIT 1',
      SCOPE_SUMS,
    ).get(scope);
    return keep(this.#scopes, scope, sums ?? { transactions: 0, changes: 0, bytes: 0 });
  }

  /** Returns the newest totals of a table in a scope; zeros if it has none. */
  ofTable(scope: string, table: string): TableSums {
    const name = `${scope}\0${table}`;
    const known = this.#tables.get(name);
    if (known) return known;
    const sums = query(
      this.#db,
      'SELECT sum_changes AS changes, rows FROM tidemark_table_change WHERE scope = ? AND name = ? ORDER BY seq DESC LIMIT 1',
      TABLE_SUMS,
    ).get(scope, table);
    return keep(this.#tables, name, sums ?? { changes: 0, rows: 0 });
  }
}

function keep<T>(totals: Map<string, T>, name: string, value: T): T {
  if (totals.size >= KEPT_MAX) totals.clear();
  totals.set(name, value);
  return value;
}
