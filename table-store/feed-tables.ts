import { TidemarkError } from '@tidemark/protocol/errors';
import type { AlterLine, ChangeLine, WireKey, WireRow } from '@tidemark/protocol/lines';
import { sameSchema, type TableSchema } from '@tidemark/protocol/schema';
import { alterTable } from './alter-table.ts';
import { type ExistingTable, inspectTable } from './existing-table.ts';
import { transaction, type Writer } from './sqlite.ts';
import { type CatalogueTable, TableCatalogue } from './table-catalogue.ts';
import { indexChanges } from './table-ddl.ts';

/**
 * Applies the change lines of a feed to its tables in one database: the relay's mirror or a terminal's replica.
 *
 * A table id must be declared before its first change. This module works inside the caller's transaction and never
 * begins or ends one while it applies changes. The caller calls {@link FeedTables.saveCounts} before the commit and
 * {@link FeedTables.reload} after a rollback.
 */

/**
 * Number of rows that were inserted, updated and deleted in a table, and how often the table was emptied, replaced or
 * dropped.
 */
export interface Counts {
  name: string;
  inserted: number;
  updated: number;
  deleted: number;
  truncated: number;
}

export interface FeedTable {
  id: number;
  schema: TableSchema;
  rows: number;
}

/** A table of the feed that another program altered. */
export interface AlteredTable {
  table: string;
  /** How the table differs, as a clause for people. */
  detail: string;
}

const ALTERATIONS: Record<Exclude<ExistingTable, 'matches'>, string> = {
  absent: 'it is gone',
  differs: 'its columns are not those of head office',
  view: 'a view has its name',
};

const invalid = (detail: string) => new TidemarkError('page_invalid', { detail });

export class FeedTables {
  readonly #db: Writer;
  readonly #catalogue: TableCatalogue;
  #dropped: string[] = [];

  constructor(db: Writer) {
    this.#db = db;
    this.#catalogue = new TableCatalogue(db);
  }

  /** Discards the state in memory and reads the database again. */
  reload(): void {
    this.#dropped = [];
    this.#catalogue.reload();
  }

  /**
   * Returns the tables that another program altered, replaced or dropped. Creates missing indexes of ours on the other
   * tables, in one transaction per table.
   */
  altered(): AlteredTable[] {
    const unreadable = this.#catalogue.unreadable.map((table) => ({
      table,
      detail: 'its stored schema is unreadable',
    }));
    const others = this.list().flatMap(({ id, schema }) => {
      const found = inspectTable(this.#db, schema);
      if (found !== 'matches') return [{ table: schema.name, detail: ALTERATIONS[found] }];
      const missing = indexChanges(this.#db, id, schema);
      if (missing.length > 0) transaction(this.#db, () => missing.forEach((sql) => void this.#db.exec(sql)));
      return [];
    });
    return [...unreadable, ...others];
  }

  /**
   * Declares a table id. Creates the table if its name is free, unless `create` is false because an `a` line will build
   * it from another table. If the name is in use under another id, the new id waits for its `r` or `a` line. Throws
   * `schema_mismatch`, `name_clash`.
   */
  declare(id: number, schema: TableSchema, create = true): void {
    const table = this.#catalogue.declare(id, schema);
    if (table && create && !this.#catalogue.current(schema.name)) this.#catalogue.create(table);
  }

  /**
   * Applies one line. Throws `page_invalid` when the line does not fit its table. `unchanged`: columns that its updates
   * leave unchanged, see {@link RowStatements.upsert}.
   */
  apply(line: ChangeLine, unchanged?: ReadonlySet<string>): Counts {
    if (line[0] === 'x') return this.#drop(line[1]);
    const table = this.#declared(line[1]);
    const counts: Counts = { name: table.schema.name, inserted: 0, updated: 0, deleted: 0, truncated: 0 };
    if (line[0] === 'r' || line[0] === 'a') {
      // A line that only changes the mark of a table changes no row.
      const changesRows = line[0] === 'r' ? this.#replace(table) : this.#alter(table, line);
      counts.truncated = changesRows ? 1 : 0;
      return counts;
    }
    const { statements } = table;
    if (!statements) throw invalid(`table ${table.schema.name} has another schema here`);
    switch (line[0]) {
      case 'i':
        statements.upsert(line[2]);
        counts.inserted = line[2].length;
        table.rows += line[2].length;
        break;
      case 'u':
        statements.upsert(line[2], unchanged);
        counts.updated = line[2].length;
        // Without a key, an update line adds a row. A delete line removes the old one.
        if (table.schema.key.length === 0) table.rows += line[2].length;
        break;
      case 'd':
        table.rows -= statements.delete(line[2]);
        counts.deleted = line[2].length;
        break;
      case 't':
        statements.truncate();
        table.rows = 0;
        counts.truncated = 1;
        break;
    }
    table.dirty = true;
    return counts;
  }

  /** Writes the changed row counts. Call it before each commit. */
  saveCounts(): void {
    this.#catalogue.saveCounts();
  }

  /**
   * Returns the names of third-party indexes and triggers that were dropped because altered tables did not allow them,
   * and clears the list.
   */
  takeDropped(): string[] {
    const dropped = this.#dropped;
    this.#dropped = [];
    return dropped;
  }

  /**
   * Returns the row with this key, in wire format. Null when there is none. In a table without a key, the key is the
   * row. `only`: see {@link RowStatements.read}.
   */
  readByKey(id: number, key: WireKey, only?: ReadonlySet<string>): WireRow | null {
    const { statements } = this.#declared(id);
    if (!statements) throw notDeclared(id);
    return statements.read(key, only);
  }

  /** Current tables, by name. */
  list(): FeedTable[] {
    return [...this.#catalogue.allCurrent()]
      .map(({ id, schema, rows }) => ({ id, schema, rows }))
      .sort((a, b) => (a.schema.name < b.schema.name ? -1 : 1));
  }

  #declared(id: number): CatalogueTable {
    const table = this.#catalogue.get(id);
    if (!table) throw notDeclared(id);
    return table;
  }

  #replace(table: CatalogueTable): true {
    const old = this.#catalogue.current(table.schema.name);
    if (old) this.#catalogue.drop(old);
    this.#catalogue.create(table);
    return true;
  }

  /** Alters a table. Returns whether anything but its mark (F17) changed. */
  #alter(table: CatalogueTable, [, id, from, columns]: AlterLine): boolean {
    const old = this.#catalogue.get(from);
    if (!old?.statements) throw invalid(`table id ${from} is altered but not here`);
    if (table.statements) throw invalid(`table id ${id} is here already`);
    this.#dropped.push(...alterTable(this.#db, { from: old.schema, id, to: table.schema, columns }));
    this.#catalogue.succeed(old, table);
    return !sameSchema(withoutMark(old.schema), withoutMark(table.schema));
  }

  #drop(name: string): Counts {
    const old = this.#catalogue.current(name);
    if (!old) throw invalid(`table ${name} is dropped but not here`);
    this.#catalogue.drop(old);
    return { name, inserted: 0, updated: 0, deleted: 0, truncated: 1 };
  }
}

const withoutMark = ({ setAside: _, ...schema }: TableSchema): TableSchema => schema;

const notDeclared = (id: number) => invalid(`table id ${id} is not declared`);
