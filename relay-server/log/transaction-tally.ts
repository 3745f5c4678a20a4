import { query, TEXT, value } from '@tidemark/table-store/query';
import { prepared, type Writer } from '@tidemark/table-store/sqlite';
import type { LogTotals } from './log-totals.ts';

/**
 * Counts the changes of one transaction, by scope and by table, and adds them to the running totals when it ends.
 * Works inside the caller's SQLite transaction.
 */

interface TableTally {
  changes: number;
  /** Rows added or, below 0, removed. */
  rows: number;
  /** The rows from before the transaction are gone, so that `rows` is the count itself. */
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

  /** The scopes that the transaction touched. */
  get scopes(): IterableIterator<string> {
    return this.#scopes.keys();
  }

  /** Lines were added to a scope. */
  addLines(scope: string, changes: number, bytes: number): void {
    const tally = this.#scope(scope);
    tally.changes += changes;
    tally.bytes += bytes;
  }

  /** A table changed in a scope. `rows`: how many rows were added or, below 0, removed. */
  addToTable(scope: string, table: string, changes: number, rows: number): void {
    const tally = this.#table(scope, table);
    tally.changes += changes;
    tally.rows += rows;
  }

  /** All rows of a table are gone, in every scope. */
  empty(table: string): void {
    for (const scope of this.#scopesWith(table)) {
      const tally = this.#table(scope, table);
      tally.rows = 0;
      tally.emptied = true;
    }
  }

  /** The rows of table `from` are those of table `to` from now on. */
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

  /** Writes the new running totals of every scope and table that the transaction touched. */
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

  /** The scopes in which a table has rows, or had some before the transaction. */
  #scopesWith(table: string): string[] {
    const next = query(
      this.#db,
      'SELECT scope FROM tidemark_table_change WHERE scope > ? ORDER BY scope LIMIT 1',
      value(TEXT),
    );
    const found = new Set([...this.#scopes].flatMap(([scope, { tables }]) => (tables.has(table) ? [scope] : [])));
    // One seek per scope.
    for (let scope = next.get(''); scope !== undefined; scope = next.get(scope))
      if (this.#totals.ofTable(scope, table).rows > 0) found.add(scope);
    return [...found];
  }
}
