import type { KeyRange } from '@tidemark/protocol/api';
import type { Cursor } from '@tidemark/protocol/cursor';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { WireRow } from '@tidemark/protocol/lines';
import type { ScopeSet } from '@tidemark/protocol/page';
import type { Difference } from '@tidemark/protocol/run';
import type { TableId } from '@tidemark/protocol/schema';
import { TableRanges } from '@tidemark/table-store/digest';
import { inspectTable, thirdPartyUniqueIndexes } from '@tidemark/table-store/existing-table';
import type { Counts } from '@tidemark/table-store/feed-tables';
import { WRITTEN_WITH_FEED } from '@tidemark/table-store/own-tables';
import { INTEGER, query, row, TEXT, UNKNOWN } from '@tidemark/table-store/query';
import { openReader, prepared, type Reader, type Writer } from '@tidemark/table-store/sqlite';
import { storedForm } from '@tidemark/table-store/stored-schema';
import { indexChanges } from '@tidemark/table-store/table-ddl';
import { listedTables, saveTableList } from '@tidemark/table-store/table-list';
import {
  removeObjects,
  restoreObjects,
  type ThirdPartyObject,
  thirdPartyObjects,
} from '@tidemark/table-store/third-party-objects';
import { saveDataColumns } from '../status-row.ts';
import { type ComparedTable, countRows, dropTable, StagedTable, type TargetTable } from './staged-table.ts';

/**
 * A comparison of a replica with a snapshot, and the repair that follows from it.
 *
 * The caller fetches checksums and rows from the relay, and the repair stages the differences in temporary tables.
 * Order: construct, add and compare rows, `write` inside one transaction or not at all, and always `discard` at the
 * end. All tables are read at one moment and remain unchanged until `write`. A process that ends before `write` leaves
 * the replica unchanged. The writer must not apply pages in between.
 */

/** The snapshot with which a replica is compared, from its manifest. */
export interface CompareTarget {
  cursor: Cursor;
  committedAt: string;
  scopes: ScopeSet;
  tables: TargetTable[];
}

/** A row of `tidemark_table`, which another program may have damaged. */
interface CataloguedTable {
  id: unknown;
  name: string;
  schema: unknown;
  rows: unknown;
}

const CATALOGUED = row({ id: UNKNOWN, name: TEXT, schema: UNKNOWN, rows: UNKNOWN });
const META = row({ epoch: UNKNOWN, seq: UNKNOWN, scopes: UNKNOWN });

const nameKey = (name: string) => name.toLowerCase();

export class Repair {
  readonly target: CompareTarget;
  readonly #db: Writer;
  readonly #reader: Reader;
  readonly #tables = new Map<TableId, StagedTable>();
  readonly #catalogue: CataloguedTable[];
  /** Tables of the feed that the snapshot does not have. */
  readonly #removed: CataloguedTable[];
  /** Names of the feed's tables, including those that another program removed from the catalogue. */
  readonly #feedNames: Set<string>;

  /** Throws `name_clash` when a table of the snapshot has the name of another program's table or view. */
  constructor(db: Writer, target: CompareTarget) {
    this.#db = db;
    this.target = target;
    this.#catalogue = query(
      db,
      "SELECT id, name, schema, rows FROM tidemark_table WHERE typeof(name) = 'text'",
      CATALOGUED,
    ).all();
    this.#feedNames = new Set([...this.#catalogue.map(({ name }) => name), ...listedTables(db)].map(nameKey));
    const wanted = new Set(target.tables.map(({ name }) => nameKey(name)));
    this.#removed = this.#catalogue.filter(({ name }) => !wanted.has(nameKey(name)));
    this.#reader = openReader(db.name);
    try {
      this.#reader.exec('BEGIN');
      for (const table of target.tables) this.#tables.set(table.id, this.#stage(table));
    } catch (error) {
      this.#reader.close();
      throw error;
    }
  }

  #stage(table: TargetTable): StagedTable {
    const found = inspectTable(this.#reader, table.schema);
    const isThirdParty = found === 'view' || (found === 'differs' && !this.#feedNames.has(nameKey(table.name)));
    if (isThirdParty) throw new TidemarkError('name_clash', { table: table.name });
    const here = found === 'matches' ? new TableRanges(this.#reader, table.schema) : null;
    return new StagedTable(this.#db, table, here, found === 'differs' ? countRows(this.#reader, table.name) : 0);
  }

  /** Returns the tables of the snapshot. */
  get tables(): ComparedTable[] {
    return [...this.#tables.values()];
  }

  /** Returns the tables that differ, by name. */
  get differences(): Difference[] {
    const removed = this.#removed.map(({ name, rows }) => ({
      table: name,
      missing: 0,
      extra: INTEGER.accepts(rows) ? Math.max(0, rows) : 0,
      different: 0,
    }));
    return [...this.#tables.values()]
      .filter(({ differs }) => differs)
      .map(({ difference }) => difference)
      .concat(removed)
      .sort((a, b) => (a.table < b.table ? -1 : 1));
  }

  /** Whether writing would change anything, including the cursor and the catalogue. */
  get needed(): boolean {
    const meta = query(this.#db, 'SELECT epoch, seq, scopes FROM tidemark_meta', META).one();
    const { cursor, scopes, tables } = this.target;
    const moves = meta.epoch !== cursor.epoch || meta.seq !== cursor.seq || (meta.scopes ?? scopes) !== scopes;
    if (moves || this.differences.length > 0) return true;
    return tables.some(({ id, name, rows, schema }) => {
      const known = this.#catalogue.find((table) => table.id === id);
      const catalogued = known?.name === name && known.rows === rows && known.schema === storedForm(schema);
      return !catalogued || indexChanges(this.#db, id, schema).length > 0;
    });
  }

  /** Adds rows of a table in wire format. */
  addRows(id: TableId, rows: WireRow[]): void {
    this.#table(id).addRows(rows);
  }

  /** Compares ranges of a table with a key. All of their rows must have been added. */
  compareRanges(id: TableId, ranges: KeyRange[]): void {
    this.#table(id).compareRanges(ranges);
  }

  /** Compares a table without a key. All of its rows must have been added. */
  compareKeyless(id: TableId): void {
    this.#table(id).compareKeyless();
  }

  /**
   * Writes the differences, and the snapshot's cursor and scopes, inside the caller's transaction. `strict`: drops
   * triggers and unique indexes of other programs, because they could block the feed's changes. Returns the changes by
   * table, and the names of the third-party indexes and triggers that were dropped.
   */
  write(strict: boolean): { tables: Counts[]; dropped: string[] } {
    this.#reader.close();
    const aside = [...this.#tables.values()].map((table) => this.#putAside(table, strict));
    for (const name of WRITTEN_WITH_FEED)
      removeObjects(
        this.#db,
        thirdPartyObjects(this.#db, name).filter(({ type }) => type === 'trigger'),
      );
    for (const { name } of this.#removed) dropTable(this.#db, name);
    for (const table of this.#tables.values()) table.write();
    const refused = restoreObjects(
      this.#db,
      aside.flatMap(({ restore }) => restore),
    );
    this.#writeCursor();
    const tables = this.differences.map(({ table, missing, extra, different }) => {
      return { name: table, inserted: missing, updated: different, deleted: extra, truncated: 0 };
    });
    return { tables, dropped: [...aside.flatMap(({ dropped }) => dropped.map(({ name }) => name)), ...refused] };
  }

  /** Discards the differences. */
  discard(): void {
    this.#reader.close();
    if (!this.#db.open) return;
    for (const table of this.#tables.values()) table.discard();
  }

  #table(id: TableId): StagedTable {
    const table = this.#tables.get(id);
    if (!table) throw new TidemarkError('page_invalid', { detail: `the snapshot has no table ${id}` });
    return table;
  }

  /**
   * Drops the objects of other programs that could reject or change rows of a table. Returns the objects to create
   * again after the table is written, and those that stay dropped.
   */
  #putAside({ schema, here }: StagedTable, strict: boolean): Record<'restore' | 'dropped', ThirdPartyObject[]> {
    const unique = thirdPartyUniqueIndexes(this.#db, schema.name);
    const all = thirdPartyObjects(this.#db, schema.name);
    const canInterfere = ({ type, name }: ThirdPartyObject) => type === 'trigger' || unique.includes(name);
    removeObjects(this.#db, all.filter(canInterfere));
    // Replacing a table drops all objects on it; repairing one keeps the harmless ones.
    const restore = all.filter(
      (object) => (here === null || canInterfere(object)) && !(strict && canInterfere(object)),
    );
    return { restore, dropped: strict ? all.filter(canInterfere) : [] };
  }

  #writeCursor(): void {
    const { cursor, committedAt, scopes, tables } = this.target;
    this.#db.exec('DELETE FROM tidemark_table; DELETE FROM tidemark_spool');
    const add = prepared(this.#db, 'INSERT INTO tidemark_table (id, name, schema, rows) VALUES (?, ?, ?, ?)');
    for (const table of this.#tables.values())
      add.run(table.id, table.schema.name, storedForm(table.schema), table.countAfterWrite());
    prepared(
      this.#db,
      'UPDATE tidemark_meta SET epoch = ?, seq = ?, part = 0, squashed = NULL, committed_at = ?, scopes = ?',
    ).run(cursor.epoch, cursor.seq, committedAt, scopes);
    saveTableList(this.#db);
    saveDataColumns(this.#db, tables.filter(({ schema }) => schema.setAside !== undefined).length);
  }
}
