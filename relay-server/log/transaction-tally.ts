import { query, TEXT, value } from '@tidemark/table-store/query';
import { prepared, type Writer } from '@tidemark/table-store/sqlite';
import type { LogTotals } from './log-totals.ts';

/**
 * Counts the changes of one transaction, by scope and by table, and adds them to the running totals when it ends.
 * Works inside the caller's SQLite transaction.
 */

interface TableTally {
  changes: number;
  /** Number of rows that the transaction adds; negative if it removes rows. */
  rows: number;
  /** Whether the transaction removed all earlier rows, so that `rows` is the table's count. */
  emptied: boolean;
}

interface ScopeTally {
  changes: number;
  bytes: number;
  tables: Map<string, TableTally>;
}

export class TransactionTally {
  readonly #db: Writer;
  readonly #totals: LogTotals;
  readonly #scopes = new Map<string, ScopeTally>();

  constructor(db: Writer, totals: LogTotals) {
    this.#db = db;
    this.#totals = totals;
  }

  /** The scopes in which the transaction has changes. */
  get scopes(): IterableIterator<string> {
    return this.#scopes.keys();
  }

  /** Counts lines added to a scope. */
  addLines(scope: string, changes: number, bytes: number): void {
    const tally = this.#scope(scope);
    tally.changes += changes;
    tally.bytes += bytes;
  }

  /** Counts changes of a table in a scope. `rows` is the number of added rows; negative if rows were removed. */
  addToTable(scope: string, table: string, changes: number, rows: number): void {
    const tally = this.#table(scope, table);
    tally.changes += changes;
    tally.rows += rows;
  }

  /** Records that a table lost all rows in every scope. */
  empty(table: string): void {
    for (const scope of this.#scopesWith(table)) {
      const tally = this.#table(scope, table);
      tally.rows = 0;
      tally.emptied = true;
    }
  }

  /** Records that the table `from` is now named `to`. */
  rename(from: string, to: string): void {
    for (const scope of this.#scopesWith(from)) {
      const old = this.#table(scope, from);
      const before = old.emptied ? 0 : this.#totals.ofTable(scope, from).rows;
      const tally = this.#table(scope, to);
      tally.rows = before + old.rows;
      tally.emptied = true;
      old.rows = 0;
      old.emptied = true;
    }
  }

  /** Writes the new running totals of every scope and table with changes. */
  write(seq: number, committedAt: string): void {
    for (const [scope, tally] of this.#scopes) this.#writeScope(scope, tally, seq, committedAt);
  }

  #writeScope(scope: string, { changes, bytes, tables }: ScopeTally, seq: number, committedAt: string): void {
    const sums = this.#totals.ofScope(scope);
    sums.transactions += changes > 0 ? 1 : 0;
    sums.changes += changes;
    sums.bytes += bytes;
    prepared(this.#db, 'INSERT INTO tidemark_transaction VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)').run(
      scope,
      seq,
      committedAt,
      changes,
      bytes,
      JSON.stringify([...tables].flatMap(([name, table]) => (table.changes > 0 ? [name] : []))),
      sums.transactions,
      sums.changes,
      sums.bytes,
    );
    const add = prepared(this.#db, 'INSERT INTO tidemark_table_change VALUES (?, ?, ?, ?, ?, ?)');
    for (const [name, tally] of tables) {
      const table = this.#totals.ofTable(scope, name);
      table.changes += tally.changes;
      table.rows = (tally.emptied ? 0 : table.rows) + tally.rows;
      add.run(scope, name, seq, committedAt, table.changes, table.rows);
    }
  }

  #scope(scope: string): ScopeTally {
    let tally = this.#scopes.get(scope);
    if (!tally) {
      tally = { changes: 0, bytes: 0, tables: new Map() };
      this.#scopes.set(scope, tally);
    }
    return tally;
  }

  #table(scope: string, name: string): TableTally {
    const { tables } = this.#scope(scope);
    let tally = tables.get(name);
    if (!tally) {
      tally = { changes: 0, rows: 0, emptied: false };
      tables.set(name, tally);
    }
    return tally;
  }

  /** Returns the scopes in which the table has rows or had rows before the transaction. */
  #scopesWith(table: string): string[] {
    const next = query(
      this.#db,
      'SELECT scope FROM tidemark_table_change WHERE scope > ? ORDER BY scope LIMIT 1',
      value(TEXT),
    );
    const found = new Set([...this.#scopes].flatMap(([scope, { tables }]) => (tables.has(table) ? [scope] : [])));
    // This loop costs one seek per scope.
    for (let scope = next.get(''); scope !== undefined; scope = next.get(scope))
      if (this.#totals.ofTable(scope, table).rows > 0) found.add(scope);
    return [...found];
  }
}
