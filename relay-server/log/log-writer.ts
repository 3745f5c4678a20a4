import type { WireKey } from '@tidemark/protocol/lines';
import { ENTRY_BYTES } from '@tidemark/protocol/page';
import { prepared, type Writer } from '@tidemark/table-store/sqlite';
import { EVERYONE_SCOPE } from '../routing/filters.ts';

interface Sums {
  transactions: number;
  changes: number;
  bytes: number;
}

interface TableSums {
  changes: number;
  rows: number;
}

/** So many totals are kept in memory. */
const TOTALS_MOST = 50_000;

/** The newest running totals by scope, and by scope and table, so that each transaction does not look them up. For one writer; to be cleared when it rolls back. */
export class LogTotals {
  readonly #db: Writer;
  readonly #scopes = new Map<string, Sums>();
  readonly #tables = new Map<string, TableSums>();

  constructor(db: Writer) {
    this.#db = db;
  }

  clear(): void {
    this.#scopes.clear();
    this.#tables.clear();
  }

  of(scope: string): Sums {
    const known = this.#scopes.get(scope);
    if (known) return known;
    const sums = prepared(
      this.#db,
      'SELECT sum_transactions AS transactions, sum_changes AS changes, sum_bytes AS bytes FROM tidemark_transaction WHERE scope = ? ORDER BY seq DESC LIMIT 1',
    ).get(scope) as Sums | undefined;
    return keep(this.#scopes, scope, sums ?? { transactions: 0, changes: 0, bytes: 0 });
  }

  ofTable(scope: string, table: string): TableSums {
    const name = `${scope}\0${table}`;
    const known = this.#tables.get(name);
    if (known) return known;
    const sums = prepared(
      this.#db,
      'SELECT sum_changes AS changes, rows FROM tidemark_table_change WHERE scope = ? AND name = ? ORDER BY seq DESC LIMIT 1',
    ).get(scope, table) as TableSums | undefined;
    return keep(this.#tables, name, sums ?? { changes: 0, rows: 0 });
  }
}

function keep<T>(totals: Map<string, T>, name: string, value: T): T {
  if (totals.size >= TOTALS_MOST) totals.clear();
  totals.set(name, value);
  return value;
}

/** What one table sees of a transaction, in one scope. */
interface TableTally {
  changes: number;
  /** Rows more or, below 0, less. */
  rows: number;
  /** The rows of before are gone: `rows` are all that there are. */
  emptied: boolean;
}

interface Tally {
  changes: number;
  bytes: number;
  tables: Map<string, TableTally>;
}

interface Entry {
  lines: Buffer[];
  bytes: number;
  changes: number;
  ids: Set<number>;
}

/** A key as it is told from others of its table. */
export function nameOfKey(key: WireKey): string | number | null {
  return key.length === 1 ? (key[0] ?? null) : JSON.stringify(key);
}

/** A line of one scope. */
export interface ScopedLine {
  scope: string;
  bytes: Buffer;
  changes: number;
  /** What it changes. */
  id: number;
  table: string;
  /** Rows more or less. */
  rows: number;
}

/** Open entries of all scopes are written down when together they pass this size, bytes. */
const OPEN_BYTES = 4 * 1024 * 1024;
/** So many deletes are remembered before they are written down. */
const DELETES_MOST = 50_000;

/**
 * Writes one transaction to the log, entry by entry, as it will be sent, in each scope that it touches.
 *
 * A terminal of several scopes applies their entries by their part number, which counts through all scopes. Within a
 * scope that is the order of the transaction; between scopes only one thing matters: a row that left a scope is deleted
 * there before a row of its key arrives in another. So the entry with the delete is written down before the insert.
 */
export class LogWriter {
  readonly seq: number;
  readonly committedAt: string;
  readonly #db: Writer;
  readonly #totals: LogTotals;
  readonly #tallies = new Map<string, Tally>();
  #open = new Map<string, Entry>();
  #openBytes = 0;
  #deleted = new Map<string, { scope: string; entry: Entry }>();
  #part = 0;
  #lastLog = 0;
  #bytes = 0;

  constructor(db: Writer, totals: LogTotals, seq: number, committedAt: string) {
    this.#db = db;
    this.#totals = totals;
    this.seq = seq;
    this.committedAt = committedAt;
  }

  /** The scopes that the transaction touched. */
  get scopes(): IterableIterator<string> {
    return this.#tallies.keys();
  }

  /** Adds a line of rows. */
  add({ scope, bytes, changes, id, table, rows }: ScopedLine): void {
    this.#push(scope, bytes, changes, id);
    const tally = this.#table(scope, table);
    tally.changes += changes;
    tally.rows += rows;
  }

  /** Remembers that a line just added to a scope deletes a key. */
  deleted(scope: string, id: number, key: WireKey): void {
    const entry = this.#open.get(scope);
    if (entry) this.#deleted.set(`${id} ${nameOfKey(key)}`, { scope, entry });
    if (this.#deleted.size >= DELETES_MOST) this.#flushAll();
  }

  /** To be called before a row of this key is inserted into a scope. */
  inserting(scope: string, id: number, key: WireKey): void {
    if (this.#deleted.size === 0) return;
    const before = this.#deleted.get(`${id} ${nameOfKey(key)}`);
    if (before && before.scope !== scope && this.#open.get(before.scope) === before.entry) this.#flush(before.scope);
  }

  /**
   * Adds a line about a table as a whole, which everyone gets. `emptied`: its rows are gone in every scope. `was`: the
   * name that it had, when it has another one now.
   */
  structure(bytes: Buffer, id: number | null, table: string, change: { emptied: boolean; was?: string }): void {
    this.#flushAll();
    this.#push(EVERYONE_SCOPE, bytes, 1, id);
    this.#flushAll();
    this.#table(EVERYONE_SCOPE, table).changes++;
    if (change.was !== undefined && change.was !== table) this.#rename(change.was, table);
    if (change.emptied) this.#empty(table);
  }

  /** Ends the transaction. */
  end(): void {
    this.#flushAll();
    for (const [scope, tally] of this.#tallies) this.#endScope(scope, tally);
    const before = prepared(
      this.#db,
      'SELECT last_log AS log, sum_bytes AS bytes FROM tidemark_seq ORDER BY seq DESC LIMIT 1',
    ).get() as { log: number; bytes: number } | undefined;
    prepared(this.#db, 'INSERT INTO tidemark_seq VALUES (?, ?, ?, ?)').run(
      this.seq,
      this.committedAt,
      this.#lastLog || (before?.log ?? 0),
      (before?.bytes ?? 0) + this.#bytes,
    );
  }

  #endScope(scope: string, tally: Tally): void {
    const sums = this.#totals.of(scope);
    sums.transactions += tally.changes > 0 ? 1 : 0;
    sums.changes += tally.changes;
    sums.bytes += tally.bytes;
    prepared(this.#db, 'INSERT INTO tidemark_transaction VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)').run(
      scope,
      this.seq,
      this.committedAt,
      tally.changes,
      tally.bytes,
      JSON.stringify([...tally.tables].flatMap(([name, { changes }]) => (changes > 0 ? [name] : []))),
      sums.transactions,
      sums.changes,
      sums.bytes,
    );
    const add = prepared(this.#db, 'INSERT INTO tidemark_table_change VALUES (?, ?, ?, ?, ?, ?)');
    for (const [name, { changes, rows, emptied }] of tally.tables) {
      const table = this.#totals.ofTable(scope, name);
      table.changes += changes;
      table.rows = (emptied ? 0 : table.rows) + rows;
      add.run(scope, name, this.seq, this.committedAt, table.changes, table.rows);
    }
  }

  #push(scope: string, bytes: Buffer, changes: number, id: number | null): void {
    if ((this.#open.get(scope)?.bytes ?? 0) >= ENTRY_BYTES) this.#flush(scope);
    let entry = this.#open.get(scope);
    if (!entry) {
      entry = { lines: [], bytes: 0, changes: 0, ids: new Set() };
      this.#open.set(scope, entry);
    }
    entry.lines.push(bytes);
    entry.bytes += bytes.length;
    entry.changes += changes;
    if (id !== null) entry.ids.add(id);
    this.#openBytes += bytes.length;
    const tally = this.#tally(scope);
    tally.changes += changes;
    tally.bytes += bytes.length;
    if (this.#openBytes >= OPEN_BYTES) this.#flushAll();
  }

  #flushAll(): void {
    for (const scope of [...this.#open.keys()]) this.#flush(scope);
    this.#deleted.clear();
  }

  #flush(scope: string): void {
    const entry = this.#open.get(scope);
    if (!entry) return;
    this.#open.delete(scope);
    this.#openBytes -= entry.bytes;
    this.#bytes += entry.bytes;
    const { lastInsertRowid } = prepared(
      this.#db,
      'INSERT INTO tidemark_log (scope, seq, part, body, changes, ids, committed_at) VALUES (?, ?, ?, ?, ?, ?, ?)',
    ).run(
      scope,
      this.seq,
      ++this.#part,
      entry.lines.length === 1 ? entry.lines[0] : Buffer.concat(entry.lines),
      entry.changes,
      JSON.stringify([...entry.ids]),
      this.committedAt,
    );
    this.#lastLog = Number(lastInsertRowid);
  }

  #tally(scope: string): Tally {
    let tally = this.#tallies.get(scope);
    if (!tally) {
      tally = { changes: 0, bytes: 0, tables: new Map() };
      this.#tallies.set(scope, tally);
    }
    return tally;
  }

  #table(scope: string, name: string): TableTally {
    const { tables } = this.#tally(scope);
    let tally = tables.get(name);
    if (!tally) {
      tally = { changes: 0, rows: 0, emptied: false };
      tables.set(name, tally);
    }
    return tally;
  }

  /** The rows of a table are gone, in every scope. */
  #empty(table: string): void {
    for (const scope of this.#scopesWith(table)) {
      const tally = this.#table(scope, table);
      tally.rows = 0;
      tally.emptied = true;
    }
  }

  /** The rows of a table are those of another name from now on. */
  #rename(was: string, table: string): void {
    for (const scope of this.#scopesWith(was)) {
      const old = this.#table(scope, was);
      const last = old.emptied ? 0 : this.#totals.ofTable(scope, was).rows;
      const tally = this.#table(scope, table);
      tally.rows = last + old.rows;
      tally.emptied = true;
      old.rows = 0;
      old.emptied = true;
    }
  }

  /** The scopes in which a table has or had rows. */
  #scopesWith(table: string): string[] {
    const next = prepared(
      this.#db,
      'SELECT scope FROM tidemark_table_change WHERE scope > ? ORDER BY scope LIMIT 1',
    ).pluck();
    const found = new Set([...this.#tallies].flatMap(([scope, { tables }]) => (tables.has(table) ? [scope] : [])));
    for (
      let scope = next.get('') as string | undefined;
      scope !== undefined;
      scope = next.get(scope) as string | undefined
    )
      if (this.#totals.ofTable(scope, table).rows > 0) found.add(scope);
    return [...found];
  }
}
