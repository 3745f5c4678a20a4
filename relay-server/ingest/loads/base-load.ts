import { TidemarkError } from '@tidemark/protocol/errors';
import type { ChangeLine, WireRow } from '@tidemark/protocol/lines';
import { sameSchema, type TableSchema } from '@tidemark/protocol/schema';
import type { FeedTable, FeedTables } from '@tidemark/table-store/feed-tables';
import type { Writer } from '@tidemark/table-store/sqlite';
import type { Routers } from '../../routing/routers.ts';
import { TableLoad } from './table-load.ts';

/**
 * Loads the tables of a base. The rows of the first base go directly into the mirror. The tables of a later base are
 * loaded into staging tables and compared with the mirror at the end, so that only the difference enters the log.
 * Tables of the mirror that the base does not declare are dropped. A table that the base declares as set aside keeps its
 * rows (F17), because its copy failed.
 */
export class BaseLoad {
  readonly #db: Writer;
  readonly #tables: FeedTables;
  readonly #routers: Routers;
  readonly #first: boolean;
  /** Names of the declared tables, in lower case. */
  readonly #names = new Set<string>();
  readonly #loads = new Map<number, TableLoad>();
  /** Declared tables that are set aside, by id. */
  readonly #kept = new Map<number, Kept>();

  constructor(db: Writer, tables: FeedTables, routers: Routers, first: boolean) {
    this.#db = db;
    this.#tables = tables;
    this.#routers = routers;
    this.#first = first;
  }

  /** Throws page_invalid if a table that is set aside is not in the mirror, or has other columns there. */
  declare(id: number, schema: TableSchema): void {
    if (this.#loads.has(id) || this.#kept.has(id)) return;
    if (schema.setAside) {
      this.#keep(id, schema);
      return;
    }
    if (this.#first) {
      this.#tables.declare(id, schema);
      return;
    }
    const name = schema.name.toLowerCase();
    const old = this.#tables.list().find((table) => table.schema.name.toLowerCase() === name);
    const columns = schema.columns.map(
      (column) => old?.schema.columns.find((before) => before.name === column.name)?.name ?? null,
    );
    this.#names.add(name);
    this.#loads.set(
      id,
      new TableLoad(this.#db, this.#tables, this.#routers, { id, schema, from: old?.id ?? null, columns }),
    );
  }

  #keep(id: number, schema: TableSchema): void {
    const old = this.#tables.list().find((table) => table.schema.name === schema.name);
    if (this.#first || !old || !sameSchema(withoutMark(old.schema), withoutMark(schema)))
      throw new TidemarkError('page_invalid', { detail: 'it is set aside, but the mirror holds no such table' });
    this.#names.add(schema.name.toLowerCase());
    this.#kept.set(id, { schema, old });
  }

  insert(id: number, rows: WireRow[]): void {
    if (this.#kept.has(id))
      throw new TidemarkError('page_invalid', { detail: 'a table that is set aside has no rows' });
    const load = this.#loads.get(id);
    if (load) load.insert(rows);
    else this.#tables.apply(['i', id, rows]);
  }

  /**
   * Discards the rows of a table that the base holds. The table may then be declared as set aside. Throws page_invalid if the base
   * has not declared it.
   */
  discard(name: string): void {
    if (this.#first) {
      this.#tables.apply(['x', name]);
      return;
    }
    for (const [id, load] of this.#loads) {
      if (load.name !== name) continue;
      load.discard();
      this.#loads.delete(id);
      this.#names.delete(name.toLowerCase());
      return;
    }
    throw new TidemarkError('page_invalid', { detail: `table ${name} is discarded but not in the base` });
  }

  /** Ends the first base of a feed. */
  finishFirst(): void {
    this.#tables.saveCounts();
  }

  /**
   * Ends a later base. Passes the difference between mirror and base as lines to `write`, which applies and logs them.
   * Runs the comparison of each table in `within`, which adds the table to errors.
   */
  finish(write: (line: ChangeLine) => void, within: (id: number, finish: () => void) => void): void {
    for (const { schema } of this.#tables.list())
      if (!this.#names.has(schema.name.toLowerCase())) write(['x', schema.name]);
    for (const [id, { schema, old }] of this.#kept)
      if (old.id !== id && !sameSchema(old.schema, schema))
        write(['a', id, old.id, schema.columns.map(({ name }) => name)]);
    for (const [id, load] of this.#loads) within(id, () => load.finish(write));
  }
}

/** A table that keeps its rows: its declared schema, and the table of the mirror. */
interface Kept {
  schema: TableSchema;
  old: FeedTable;
}

const withoutMark = ({ setAside: _, ...schema }: TableSchema): TableSchema => schema;
