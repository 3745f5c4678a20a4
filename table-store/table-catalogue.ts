import { TidemarkError } from '@tidemark/protocol/errors';
import { sameSchema, type TableSchema } from '@tidemark/protocol/schema';
import { TABLE_DDL } from './own-tables.ts';
import { exists, INTEGER, query, row, UNKNOWN } from './query.ts';
import { RowStatements } from './row-statements.ts';
import { ident, prepared, type Writer } from './sqlite.ts';
import { readStoredSchema, storedForm } from './stored-schema.ts';
import { createTableSql, ensureIndexes } from './table-ddl.ts';

/**
 * The tables of one feed in one database, by id and by name: `tidemark_table` and its copy in memory.
 *
 * An id identifies one version of one table's schema. It is first declared, and becomes current when the table with
 * this id exists. A name has at most one current id. This module works inside the caller's transaction. After a
 * rollback the caller calls {@link TableCatalogue.reload}, because memory does not roll back.
 */
export interface CatalogueTable {
  id: number;
  schema: TableSchema;
  /** The statements that change the table. Null until the database has the table with this id. */
  statements: RowStatements | null;
  /** Number of rows in the table, updated with each change. */
  rows: number;
  /** Whether `rows` differs from `tidemark_table`. */
  dirty: boolean;
}

const STORED = row({ id: UNKNOWN, name: UNKNOWN, schema: UNKNOWN, rows: UNKNOWN });

export class TableCatalogue {
  readonly #db: Writer;
  readonly #byId = new Map<number, CatalogueTable>();
  readonly #currentByName = new Map<string, CatalogueTable>();
  #unreadable: string[] = [];

  constructor(db: Writer) {
    this.#db = db;
    db.exec(TABLE_DDL);
    this.reload();
  }

  /** Discards the state in memory and reads the database again. */
  reload(): void {
    this.#byId.clear();
    this.#currentByName.clear();
    this.#unreadable = [];
    for (const stored of query(this.#db, 'SELECT id, name, schema, rows FROM tidemark_table', STORED).all()) {
      const schema = readStoredSchema(stored.schema, stored.name);
      if (schema === null || !INTEGER.accepts(stored.id)) {
        this.#unreadable.push(String(stored.name));
        continue;
      }
      const rows = INTEGER.accepts(stored.rows) && stored.rows >= 0 ? stored.rows : 0;
      this.#admit({ id: stored.id, schema, statements: new RowStatements(this.#db, schema), rows, dirty: false });
    }
  }

  /** Returns the names of tables whose row in `tidemark_table` is unreadable. */
  get unreadable(): readonly string[] {
    return this.#unreadable;
  }

  /** Returns the table with a declared id. Undefined when the id is not declared. */
  get(id: number): CatalogueTable | undefined {
    return this.#byId.get(id);
  }

  /** Returns the current table with this name, whatever its case. */
  current(name: string): CatalogueTable | undefined {
    return this.#currentByName.get(nameKey(name));
  }

  /** Returns the current tables, in no particular order. */
  allCurrent(): Iterable<CatalogueTable> {
    return this.#currentByName.values();
  }

  /**
   * Declares an id. Returns the table if the id is new. Throws `schema_mismatch` when the id was declared with another
   * schema.
   */
  declare(id: number, schema: TableSchema): CatalogueTable | null {
    const known = this.#byId.get(id);
    if (!known) {
      const table: CatalogueTable = { id, schema, statements: null, rows: 0, dirty: false };
      this.#byId.set(id, table);
      return table;
    }
    if (known.schema === schema) return null;
    if (!sameSchema(known.schema, schema))
      throw new TidemarkError('schema_mismatch', {
        table: schema.name,
        detail: `table id ${id} was declared otherwise before`,
      });
    // A repeated declaration with this object then needs no comparison of columns.
    known.schema = schema;
    return null;
  }

  /** Creates an empty table for a declared id. Throws `name_clash` when its name is taken. */
  create(table: CatalogueTable): void {
    const { id, schema } = table;
    if (exists(this.#db, 'SELECT type FROM sqlite_schema WHERE lower(name) = lower(?)', schema.name))
      throw new TidemarkError('name_clash', { table: schema.name });
    this.#db.exec(createTableSql(schema));
    ensureIndexes(this.#db, id, schema);
    prepared(this.#db, 'INSERT INTO tidemark_table (id, name, schema, rows) VALUES (?, ?, ?, 0)').run(
      id,
      schema.name,
      storedForm(schema),
    );
    table.rows = 0;
    table.statements = new RowStatements(this.#db, schema);
    this.#admit(table);
  }

  /** Makes a declared id current in place of `old`. The caller has already altered the table itself. */
  succeed(old: CatalogueTable, { id, schema }: CatalogueTable): void {
    prepared(this.#db, 'UPDATE tidemark_table SET id = ?, name = ?, schema = ? WHERE id = ?').run(
      id,
      schema.name,
      storedForm(schema),
      old.id,
    );
    this.#forget(old);
    this.#admit({ ...old, id, schema, statements: new RowStatements(this.#db, schema) });
  }

  /** Drops a current table. */
  drop(table: CatalogueTable): void {
    this.#db.exec(`DROP TABLE IF EXISTS ${ident(table.schema.name)}`);
    prepared(this.#db, 'DELETE FROM tidemark_table WHERE id = ?').run(table.id);
    this.#forget(table);
  }

  /** Writes the changed row counts. */
  saveCounts(): void {
    const save = prepared(this.#db, 'UPDATE tidemark_table SET rows = ? WHERE id = ?');
    for (const table of this.#currentByName.values()) {
      if (!table.dirty) continue;
      save.run(table.rows, table.id);
      table.dirty = false;
    }
  }

  #admit(table: CatalogueTable): void {
    this.#byId.set(table.id, table);
    this.#currentByName.set(nameKey(table.schema.name), table);
  }

  #forget(table: CatalogueTable): void {
    this.#byId.delete(table.id);
    this.#currentByName.delete(nameKey(table.schema.name));
  }
}

/** SQLite does not distinguish upper and lower case in names. */
const nameKey = (name: string) => name.toLowerCase();
