import type { KnownTable, RowKind } from '@tidemark/master-feed/source';

/**
 * A master in memory, and the source that reads it. It passes the contract suite of sources, so tests can use it in
 * place of a database.
 *
 * Its positions have a suffix after the sortable digits, as those of a GTID-based master do.
 */

export interface FakeTable {
  id: number;
  name: string;
  columns: { id: number; name: string }[];
  /** Values of the columns, by the key `id`. */
  rows: Map<number, (number | string)[]>;
  /** Number of changes to the table that the log does not contain. */
  rewrites: number;
  /** Whether reading the table's rows fails. */
  unreadable: boolean;
}

interface LoggedChange {
  tableId: number;
  /** The table's columns at the time of the change. */
  columns: string;
  change: { kind: Exclude<RowKind, 'partial'>; json: string } | { kind: 'truncate' };
}

export interface Transaction {
  number: number;
  committedAt: string;
  changes: LoggedChange[];
}

/** A change to a table with the key `id`. The values are in the order of the columns. */
export type FakeChange =
  | { op: 'insert' | 'update'; table: string; row: [id: number, ...values: string[]] }
  | { op: 'rekey'; table: string; id: number; to: number }
  | { op: 'delete'; table: string; id: number }
  | { op: 'truncate'; table: string };

/** Number of the first transaction after the master was created. */
export const FIRST = 1;

export const positionOf = (number: number) => `${number.toString(16).toUpperCase().padStart(16, '0')}~fake-1-${number}`;
export const numberOf = (position: string) => Number(/~fake-1-(\d+)$/.exec(position)?.[1]);
export const clone = (table: FakeTable): FakeTable => ({
  ...table,
  columns: table.columns.map((column) => ({ ...column })),
  rows: new Map([...table.rows].map(([id, row]) => [id, [...row]])),
});
const signature = ({ name, columns }: FakeTable) => JSON.stringify([name, columns]);

export class FakeMaster {
  readonly id = crypto.randomUUID();
  readonly log: Transaction[] = [];
  readonly tables: FakeTable[] = [];
  /** Descriptions of missing prerequisites. */
  readonly problems: string[] = [];
  /** Names of the tables whose description has a problem. */
  keyless: string[] = [];
  /** Ids of the tables whose changes are logged. */
  readonly published = new Set<number>();
  /** The log keeps the transactions after this number. Null: the master keeps no log. */
  keptAfter: number | null = null;
  stored: KnownTable[] | null = null;
  mark = 0;
  #nextId = 1;
  readonly #listeners = new Set<() => void>();

  get head(): number {
    return FIRST - 1 + this.log.length;
  }

  /** The position of the newest transaction. */
  end(): string {
    return positionOf(this.head);
  }

  now(): string {
    return new Date().toISOString();
  }

  createTable(name: string, rows: FakeChange[] = []): void {
    const columns = ['id', 'body'].map((column) => ({ id: this.#nextId++, name: column }));
    this.tables.push({ id: this.#nextId++, name, columns, rows: new Map(), rewrites: 0, unreadable: false });
    this.mark++;
    if (rows.length > 0) this.commit(rows);
  }

  /** Adds a text column, which rewrites the table. */
  addColumn(table: string, column: string, value = 'new'): void {
    const found = this.#find(table);
    found.columns.push({ id: this.#nextId++, name: column });
    for (const row of found.rows.values()) row.push(value);
    found.rewrites++;
    this.mark++;
  }

  /** Makes copies of the table fail, or succeed again. */
  setUnreadable(name: string, unreadable: boolean): void {
    this.#find(name).unreadable = unreadable;
  }

  renameTable(from: string, to: string): void {
    this.#find(from).name = to;
    this.mark++;
  }

  dropTable(name: string): void {
    this.tables.splice(this.tables.indexOf(this.#find(name)), 1);
    this.mark++;
  }

  commit(changes: readonly FakeChange[]): void {
    const logged = changes.flatMap((change) => this.#apply(change));
    this.log.push({ number: this.head + 1, committedAt: this.now(), changes: logged });
    for (const listener of this.#listeners) listener();
  }

  onCommit(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #find(name: string): FakeTable {
    const found = this.tables.find((table) => table.name === name);
    if (!found) throw new Error(`no table ${name}`);
    return found;
  }

  #apply(change: FakeChange): LoggedChange[] {
    const table = this.#find(change.table);
    const log = (entry: LoggedChange['change']): LoggedChange => ({
      tableId: table.id,
      columns: signature(table),
      change: entry,
    });
    const row = (kind: 'insert' | 'update' | 'delete', values: unknown[]) =>
      log({ kind, json: JSON.stringify(values) });
    switch (change.op) {
      case 'insert':
      case 'update': {
        const [id] = change.row;
        const values = table.columns.map((_, i) => change.row[i] ?? 'new');
        table.rows.set(id, values);
        return [row(change.op, values)];
      }
      case 'rekey': {
        const values = [change.to, ...(table.rows.get(change.id) ?? []).slice(1)];
        table.rows.delete(change.id);
        table.rows.set(change.to, values);
        return [row('delete', [change.id]), row('insert', values)];
      }
      case 'delete':
        table.rows.delete(change.id);
        return [row('delete', [change.id])];
      case 'truncate':
        table.rows.clear();
        return [log({ kind: 'truncate' })];
    }
  }
}
