import type {
  DescribedTables,
  KnownTable,
  LogEnd,
  LogReader,
  LogSink,
  NumberedTable,
  Obstacle,
  RowKind,
  Source,
  SourceIdentity,
  SourceTable,
  TableCopy,
  WantedTables,
} from '@tidemark/master-feed/source';
import { TidemarkError } from '@tidemark/protocol/errors';

/**
 * A master in memory, and the source that reads it. It passes the contract suite of sources, so tests can use it in
 * place of a database.
 *
 * Its positions have a suffix after the sortable digits, as those of a GTID-based master do.
 */

interface FakeTable {
  id: number;
  name: string;
  columns: { id: number; name: string }[];
  /** Values of the columns, by the key `id`. */
  rows: Map<number, (number | string)[]>;
  /** Number of changes to the table that the log does not contain. */
  rewrites: number;
}

interface LoggedChange {
  tableId: number;
  /** The table's columns at the time of the change. */
  columns: string;
  change: { kind: Exclude<RowKind, 'partial'>; json: string } | { kind: 'truncate' };
}

interface Transaction {
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
const FIRST = 1;

const positionOf = (number: number) => `${number.toString(16).toUpperCase().padStart(16, '0')}~fake-1-${number}`;
const numberOf = (position: string) => Number(/~fake-1-(\d+)$/.exec(position)?.[1]);
const clone = (table: FakeTable): FakeTable => ({
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
    this.tables.push({ id: this.#nextId++, name, columns, rows: new Map(), rewrites: 0 });
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

const describeTable = ({ id, name, columns, rewrites }: FakeTable): SourceTable => ({
  id,
  schema: {
    name,
    columns: columns.map((column, i) =>
      i === 0
        ? { name: column.name, type: 'integer', logical: { kind: 'integer', bits: 32 }, source: 'int' }
        : { name: column.name, type: 'text', logical: { kind: 'text' }, source: 'text' },
    ),
    key: ['id'],
  },
  columnIds: columns.map((column) => column.id),
  version: { columns: JSON.stringify(columns.map((column) => column.id)), rewrites: String(rewrites) },
});

export class FakeSource implements Source {
  readonly #master: FakeMaster;
  #isOpen = false;
  readonly #readers = new Set<FakeReader>();

  constructor(master: FakeMaster) {
    this.#master = master;
  }

  async open(): Promise<SourceIdentity> {
    this.#isOpen = true;
    return { kind: 'mariadb', id: this.#master.id };
  }

  async close(): Promise<void> {
    this.#isOpen = false;
    for (const reader of this.#readers) reader.fail(new TidemarkError('source_lost', { detail: 'closed' }));
    this.#readers.clear();
  }

  async catalogMark(): Promise<string> {
    return String(this.#open().mark);
  }

  async describe(wanted: WantedTables): Promise<DescribedTables> {
    return this.#describe(this.#open().tables, wanted);
  }

  async publish(tables: readonly SourceTable[]): Promise<number[]> {
    const { published } = this.#open();
    const added = tables.flatMap(({ id }) => (published.has(id) ? [] : [id]));
    published.clear();
    for (const { id } of tables) published.add(id);
    return added;
  }

  async isPublished(tables: readonly SourceTable[]): Promise<boolean> {
    const { published } = this.#open();
    return published.size === tables.length && tables.every(({ id }) => published.has(id));
  }

  async obstacle({ position }: { position: string | null }): Promise<Obstacle | null> {
    const { keptAfter } = this.#open();
    if (position === null) return { why: 'the relay has no data', setBack: false };
    if (keptAfter === null) return { why: 'the log is not kept', setBack: false };
    if (numberOf(position) < keptAfter) return { why: 'the relay was set back', setBack: true };
    return null;
  }

  async recall(): Promise<KnownTable[] | null> {
    return this.#open().stored;
  }

  async remember(tables: readonly KnownTable[]): Promise<boolean> {
    this.#open().stored = structuredClone([...tables]);
    return true;
  }

  isUnchanged({ version }: SourceTable, known: KnownTable): boolean {
    return version.columns === known.version.columns && version.rewrites === known.version.rewrites;
  }

  async copyTables(purpose: 'base' | 're-read'): Promise<TableCopy> {
    const master = this.#open();
    const tables = master.tables.map(clone);
    const position = positionOf(master.head);
    if (purpose === 'base') master.keptAfter = master.head;
    return {
      position,
      takenAt: master.now(),
      describe: async (wanted) => this.#describe(tables, wanted),
      readRows: async ({ id }, flow, onRow) => {
        const rows = [...(tables.find((table) => table.id === id)?.rows.values() ?? [])];
        for (const row of rows) {
          if (flow.full) await flow.room();
          onRow(JSON.stringify(row));
        }
        return rows.length;
      },
      alteredSince: async (copied) =>
        copied.filter((table) => {
          const now = master.tables.find(({ id }) => id === table.id);
          return !now || JSON.stringify(describeTable(now).version) !== JSON.stringify(table.version);
        }),
      close: async () => undefined,
    };
  }

  async logEnd(): Promise<LogEnd> {
    const master = this.#open();
    return { position: positionOf(master.head), at: master.now() };
  }

  async openLog(from: string, tables: readonly NumberedTable[], sink: LogSink): Promise<LogReader> {
    const reader = new FakeReader(this.#open(), numberOf(from), tables, sink);
    this.#readers.add(reader);
    reader.start();
    return reader;
  }

  #describe(all: readonly FakeTable[], { listed }: WantedTables): DescribedTables {
    const problems = [...this.#open().problems];
    for (const { name, at } of listed ?? [])
      if (!all.some((table) => table.name === name)) problems.push(`${at}: There is no table ${name}.`);
    if (problems.length > 0)
      throw new TidemarkError('source_not_ready', { detail: problems.map((problem) => `- ${problem}`).join('\n') });
    const wanted = all.filter(({ name }) => listed === null || listed.some((each) => each.name === name));
    return { tables: wanted.map(describeTable), troubles: [], notes: [] };
  }

  #open(): FakeMaster {
    if (!this.#isOpen) throw new TidemarkError('source_lost', { detail: 'not connected' });
    return this.#master;
  }
}

class FakeReader implements LogReader {
  readonly failed: Promise<never>;
  readonly fail: (error: unknown) => void;
  readonly #master: FakeMaster;
  readonly #sink: LogSink;
  readonly #known: Map<number, { table: NumberedTable; columns: string }>;
  #read: number;
  #stopped = false;
  #busy = false;
  #asked: LogEnd | null = null;
  #unlisten: () => void = () => undefined;

  constructor(master: FakeMaster, from: number, tables: readonly NumberedTable[], sink: LogSink) {
    this.#master = master;
    this.#read = from;
    this.#sink = sink;
    this.#known = new Map(
      tables.map((each) => {
        const { schema, columnIds, id } = each.table;
        const columns = schema.columns.map(({ name }, i) => ({ id: columnIds[i] ?? 0, name }));
        return [id, { table: each, columns: JSON.stringify([schema.name, columns]) }];
      }),
    );
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => undefined);
    this.failed = promise;
    this.fail = (error) => {
      this.stop();
      reject(error);
    };
  }

  start(): void {
    this.#unlisten = this.#master.onCommit(() => this.#wake());
    this.#wake();
  }

  ask(end: LogEnd): void {
    this.#asked = end;
    this.#wake();
  }

  confirm(position: string): void {
    if (!this.#stopped) this.#master.keptAfter = numberOf(position);
  }

  stop(): void {
    this.#stopped = true;
    this.#unlisten();
  }

  #wake(): void {
    if (this.#busy) return;
    this.#busy = true;
    setImmediate(() => {
      this.#pump()
        .catch(this.fail)
        .finally(() => {
          this.#busy = false;
          if (!this.#stopped && (this.#read < this.#master.head || this.#asked)) this.#wake();
        });
    });
  }

  async #pump(): Promise<void> {
    while (!this.#stopped && this.#read < this.#master.head) {
      if (this.#sink.full) await this.#sink.room();
      const next = this.#master.log[this.#read - FIRST + 1];
      if (!next || this.#stopped) return;
      this.#deliver(next);
      this.#read = next.number;
      this.#sink.reached?.(positionOf(this.#read));
    }
    if (this.#stopped || !this.#asked) return;
    const { position, at } = this.#asked;
    this.#asked = null;
    this.#sink.reached?.(positionOf(this.#read));
    this.#sink.heartbeat(positionOf(this.#read), at, this.#read >= numberOf(position));
  }

  #deliver({ number, committedAt, changes }: Transaction): void {
    this.#sink.begin(positionOf(number), committedAt);
    for (const { tableId, columns, change } of changes) {
      if (!this.#master.published.has(tableId)) continue;
      const known = this.#known.get(tableId);
      if (known?.columns !== columns) {
        if (known) this.#known.delete(tableId);
        this.#sink.altered([tableId], `table ${tableId} is new or was altered`);
      } else if (change.kind === 'truncate') this.#sink.truncate(known.table);
      else this.#sink.row(change.kind, known.table, change.json);
    }
    this.#sink.commit();
  }
}
