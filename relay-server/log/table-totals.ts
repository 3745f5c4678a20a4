import type { TableListBody } from '@tidemark/protocol/api';
import type { Seq } from '@tidemark/protocol/cursor';
import { INTEGER, query, row, TEXT, value } from '@tidemark/table-store/query';
import type { Reader } from '@tidemark/table-store/sqlite';
import { type EntitledSet, EVERYONE_SCOPE, type Filters, scopesOf } from '../routing/filters.ts';

/**
 * Computes the rows and changes of each table in a set of scopes, from the running totals by scope and table. Schema
 * changes are counted in the scope of all terminals, and so for every set.
 */

const NEWEST = row({ at: TEXT, changes: INTEGER, rows: INTEGER });

export class TableTotals {
  readonly #db: Reader;
  readonly #filters: Filters;

  constructor(db: Reader, filters: Filters) {
    this.#db = db;
    this.#filters = filters;
  }

  /** Returns the number of rows and tables of a set. */
  size(set: EntitledSet): { rows: number; tables: number } {
    const names = this.#names();
    const rows = names.reduce((sum, name) => sum + this.#newest(set, name).rows, 0);
    return { rows, tables: names.length };
  }

  /** Lists the tables by name. `after` is the terminal's seq. If it is null, waiting changes are not counted. */
  list(set: EntitledSet, after: Seq | null): TableListBody['tables'] {
    return this.#names().map((name) => {
      const newest = this.#newest(set, name);
      const waiting = after === null ? null : newest.changes - this.#changesUpTo(set, name, after);
      return { name, rows: newest.rows, waiting, lastChangeAt: newest.at };
    });
  }

  /**
   * Returns an upper bound on the number of rows that changed after a seq: for each table, the number of changes, but
   * at most its number of rows.
   */
  changedRows(set: EntitledSet, after: Seq): number {
    return this.list(set, after).reduce((sum, { rows, waiting }) => sum + Math.min(waiting ?? 0, rows), 0);
  }

  #names(): string[] {
    return query(this.#db, 'SELECT name FROM tidemark_table ORDER BY name', value(TEXT)).all();
  }

  /** Returns the scopes in which a set receives a table: the scope of all terminals, and those of the table's rows. */
  #scopesOf(set: EntitledSet, table: string): string[] {
    return [...new Set([EVERYONE_SCOPE, ...scopesOf(this.#filters[table], set.attributes)])];
  }

  /**
   * Returns the newest totals of a table, summed over the set's scopes. `at` is the time of its last change, or null if
   * it has never changed.
   */
  #newest(set: EntitledSet, table: string): { rows: number; changes: number; at: string | null } {
    const newest = query(
      this.#db,
      'SELECT committed_at AS at, sum_changes AS changes, rows FROM tidemark_table_change WHERE scope = ? AND name = ? ORDER BY seq DESC LIMIT 1',
      NEWEST,
    );
    const sum = { rows: 0, changes: 0, at: null as string | null };
    for (const scope of this.#scopesOf(set, table)) {
      const found = newest.get(scope, table);
      if (!found) continue;
      sum.rows += found.rows;
      sum.changes += found.changes;
      if (found.changes > 0 && (sum.at === null || found.at > sum.at)) sum.at = found.at;
    }
    return sum;
  }

  /** Returns the number of changes of a table up to a seq, summed over the set's scopes. */
  #changesUpTo(set: EntitledSet, table: string, at: Seq): number {
    const changes = query(
      this.#db,
      'SELECT sum_changes FROM tidemark_table_change WHERE scope = ? AND name = ? AND seq <= ? ORDER BY seq DESC LIMIT 1',
      value(INTEGER),
    );
    return this.#scopesOf(set, table).reduce((sum, scope) => sum + (changes.get(scope, table, at) ?? 0), 0);
  }
}
