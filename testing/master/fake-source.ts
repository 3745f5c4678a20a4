import {
  type DescribedTables,
  type KnownTable,
  type LogEnd,
  type LogReader,
  type LogSink,
  type NumberedTable,
  type Obstacle,
  type Source,
  type SourceIdentity,
  type SourceTable,
  type SourceTrouble,
  type TableCopy,
  TableFault,
  type WantedTables,
} from '@tidemark/master-feed/source';
import { TidemarkError } from '@tidemark/protocol/errors';
import {
  clone,
  type FakeMaster,
  type FakeTable,
  FIRST,
  numberOf,
  positionOf,
  type Transaction,
} from './fake-master.ts';

/** The source that reads a {@link FakeMaster}. It passes the contract suite of sources. */

/** The trouble of a table that cannot be read. */
const troubleOf = ({ id, name }: FakeTable): SourceTrouble => ({
  id,
  table: name,
  reason: 'other',
  detail: `the rows of ${name} cannot be read`,
  todo: 'Make them readable.',
});

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
    // As at a real master, the copy is at a later position than any transaction before it.
    if (purpose === 're-read') master.commit([]);
    const tables = master.tables.map(clone);
    const position = positionOf(master.head);
    if (purpose === 'base') master.keptAfter = master.head;
    return {
      position,
      takenAt: master.now(),
      describe: async (wanted) => this.#describe(tables, wanted),
      readRows: async ({ id }, flow, onRow) => {
        const found = tables.find((table) => table.id === id);
        const rows = [...(tables.find((table) => table.id === id)?.rows.values() ?? [])];
        for (const row of rows) {
          if (flow.full) await flow.room();
          onRow(JSON.stringify(row));
        }
        // As at a real master, the copy fails after some rows.
        if (found?.unreadable) throw new TableFault(troubleOf(found));
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

  async openLog(
    from: string,
    tables: readonly NumberedTable[],
    ignored: ReadonlySet<number>,
    sink: LogSink,
  ): Promise<LogReader> {
    const reader = new FakeReader(this.#open(), numberOf(from), tables, ignored, sink);
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
    const broken = new Set(this.#open().keyless);
    const troubles = wanted
      .filter(({ name }) => broken.has(name))
      .map((table): SourceTrouble => ({ ...troubleOf(table), reason: 'no_key' }));
    return { tables: wanted.filter(({ name }) => !broken.has(name)).map(describeTable), troubles, notes: [] };
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
  readonly #ignored: ReadonlySet<number>;
  #read: number;
  #stopped = false;
  #busy = false;
  #asked: LogEnd | null = null;
  #unlisten: () => void = () => undefined;

  constructor(
    master: FakeMaster,
    from: number,
    tables: readonly NumberedTable[],
    ignored: ReadonlySet<number>,
    sink: LogSink,
  ) {
    this.#master = master;
    this.#ignored = ignored;
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
      if (!this.#master.published.has(tableId) || this.#ignored.has(tableId)) continue;
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
