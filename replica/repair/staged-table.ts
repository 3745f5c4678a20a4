import type { KeyRange } from '@tidemark/protocol/api';
import type { WireRow } from '@tidemark/protocol/lines';
import type { Difference } from '@tidemark/protocol/run';
import type { TableId, TableSchema } from '@tidemark/protocol/schema';
import { TableRanges } from '@tidemark/table-store/digest';
import { ALL_ROWS } from '@tidemark/table-store/key-range';
import { INTEGER, ownQuery, query, row, TEXT, value } from '@tidemark/table-store/query';
import { rowTextSql } from '@tidemark/table-store/row-encoding';
import { RowStatements } from '@tidemark/table-store/row-statements';
import { ident, prepared, type Reader, type Writer } from '@tidemark/table-store/sqlite';
import { columnList, createTableSql, ensureIndexes } from '@tidemark/table-store/table-ddl';

/**
 * One table of a comparison: its differences so far, staged in temporary tables until the repair is written.
 *
 * There are three temporary tables: rows that have arrived and are not compared yet, rows to write, and keys to delete.
 * They are created when they are first needed. Counts are exact, so that the report of a run counts each row once. Only
 * {@link StagedTable.write} changes the replica's table.
 */

/** A table of the snapshot, from its manifest. */
export interface TargetTable {
  id: TableId;
  name: string;
  rows: number;
  schema: TableSchema;
}

/** A table of the snapshot and its counterpart in the replica. */
export interface ComparedTable {
  id: TableId;
  schema: TableSchema;
  /** Number of rows in the snapshot. */
  rows: number;
  /** The replica's table. Null when the replica has no table of this schema, so that all rows must be fetched. */
  here: TableRanges | null;
}

const STORED_NAME = row({ name: TEXT });

export class StagedTable implements ComparedTable {
  readonly id: TableId;
  readonly schema: TableSchema;
  readonly rows: number;
  readonly here: TableRanges | null;
  readonly difference: Difference;
  readonly #db: Writer;
  readonly #arrived: string;
  readonly #upserts: string;
  readonly #deletes: string;
  /** Stores arriving rows. Null until the temporary tables exist. */
  #incoming: RowStatements | null = null;

  /**
   * `here`: see {@link ComparedTable}. `replacedRows`: number of rows of the differently defined table that this one
   * replaces.
   */
  constructor(db: Writer, target: TargetTable, here: TableRanges | null, replacedRows: number) {
    this.#db = db;
    this.id = target.id;
    this.schema = target.schema;
    this.rows = target.rows;
    this.here = here;
    this.difference = { table: target.name, missing: 0, extra: replacedRows, different: 0 };
    this.#arrived = `temp.tidemark_arrived_${target.id}`;
    this.#upserts = `temp.tidemark_upserts_${target.id}`;
    this.#deletes = `temp.tidemark_deletes_${target.id}`;
  }

  /** Whether the replica's table differs from the snapshot's. */
  get differs(): boolean {
    const { missing, extra, different } = this.difference;
    return this.here === null || missing + extra + different > 0;
  }

  /** Adds rows in wire format. */
  addRows(rows: WireRow[]): void {
    this.#stage().upsert(rows);
    if (this.here === null) this.difference.missing += rows.length;
  }

  /** Compares ranges of a table with a key. All of their rows must have arrived. */
  compareRanges(ranges: KeyRange[]): void {
    if (this.#takesAllRows) return;
    this.#stage();
    const { schema, difference } = this;
    const main = `main.${ident(schema.name)}`;
    const sameKey = (a: string, b: string) =>
      schema.key.map((name) => `${a}.${ident(name)} = ${b}.${ident(name)}`).join(' AND ');
    const keys = schema.key.map((name) => `t.${ident(name)}`).join(', ');
    const all = new TableRanges(this.#db, schema);
    for (const range of ranges) {
      const { where, values } = all.within(range);
      const absent = `NOT EXISTS (SELECT 1 FROM ${this.#arrived} AS i WHERE ${sameKey('i', 't')})`;
      difference.extra += prepared(
        this.#db,
        `INSERT INTO ${this.#deletes} SELECT ${keys} FROM ${main} AS t ${where === '' ? 'WHERE' : `${where} AND`} ${absent}`,
      ).run(values).changes;
    }
    const equal = `${sameKey('m', 'i')} AND ${rowTextSql(schema, 'm')} = ${rowTextSql(schema, 'i')}`;
    this.#run(`DELETE FROM ${this.#arrived} AS i WHERE EXISTS (SELECT 1 FROM ${main} AS m WHERE ${equal})`);
    const unequal = this.#number(`SELECT count(*) FROM ${this.#arrived}`);
    const different = this.#number(
      `SELECT count(*) FROM ${this.#arrived} AS i WHERE EXISTS (SELECT 1 FROM ${main} AS m WHERE ${sameKey('m', 'i')})`,
    );
    difference.different += different;
    difference.missing += unequal - different;
    this.#run(`INSERT OR REPLACE INTO ${this.#upserts} SELECT * FROM ${this.#arrived}`);
    this.#run(`DELETE FROM ${this.#arrived}`);
  }

  /** Compares a table without a key as a multiset. All of its rows must have arrived. */
  compareKeyless(): void {
    this.#stage();
    if (this.here === null) return;
    const counted = (from: string) =>
      `(SELECT x, count(*) AS n FROM (SELECT ${rowTextSql(this.schema, 't')} AS x FROM ${from} AS t) GROUP BY x)`;
    const main = `main.${ident(this.schema.name)}`;
    const surplus = (a: string, b: string) =>
      this.#number(
        `SELECT coalesce(sum(max(0, a.n - coalesce(b.n, 0))), 0) FROM ${counted(a)} AS a LEFT JOIN ${counted(b)} AS b ON a.x = b.x`,
      );
    this.difference.missing = surplus(this.#upserts, main);
    this.difference.extra = surplus(main, this.#upserts);
  }

  /**
   * Writes the differences to the replica's table, inside the caller's transaction. Creates the table if there is none
   * of this schema.
   */
  write(): void {
    const main = `main.${ident(this.schema.name)}`;
    if (this.here === null) {
      dropTable(this.#db, this.schema.name);
      this.#db.exec(createTableSql(this.schema));
    }
    if (this.#incoming) {
      const columns = columnList(this.schema.columns.map(({ name }) => name));
      const key = columnList(this.schema.key);
      const keyless = this.schema.key.length === 0;
      if (keyless) this.#run(`DELETE FROM ${main}`);
      else if (this.here !== null)
        this.#run(`DELETE FROM ${main} WHERE (${key}) IN (SELECT ${key} FROM ${this.#deletes})`);
      const verb = keyless ? 'INSERT' : 'INSERT OR REPLACE';
      this.#run(`${verb} INTO ${main} (${columns}) SELECT ${columns} FROM ${this.#upserts}`);
    }
    ensureIndexes(this.#db, this.id, this.schema);
  }

  /** Returns the number of rows in the replica's table after {@link StagedTable.write}. */
  countAfterWrite(): number {
    return this.#incoming ? new TableRanges(this.#db, this.schema).count(ALL_ROWS) : this.rows;
  }

  /** Drops the temporary tables. */
  discard(): void {
    if (this.#incoming === null) return;
    for (const name of [this.#arrived, this.#upserts, this.#deletes]) this.#db.exec(`DROP TABLE IF EXISTS ${name}`);
  }

  /**
   * Whether arriving rows are written without being compared key by key, because there is no key or no table to compare
   * them with.
   */
  get #takesAllRows(): boolean {
    return this.here === null || this.schema.key.length === 0;
  }

  /** Creates the temporary tables unless they exist. */
  #stage(): RowStatements {
    if (this.#incoming) return this.#incoming;
    const { id, schema } = this;
    for (const kind of ['arrived', 'upserts'])
      this.#db.exec(createTableSql({ ...schema, name: `tidemark_${kind}_${id}` }, 'temp'));
    // These columns have no type, because another program may have written a key that does not have its column's type.
    this.#db.exec(`CREATE TABLE ${this.#deletes} (${schema.key.length === 0 ? 'k' : columnList(schema.key)})`);
    const kind = this.#takesAllRows ? 'upserts' : 'arrived';
    this.#incoming = new RowStatements(this.#db, { ...schema, name: `tidemark_${kind}_${id}` });
    return this.#incoming;
  }

  #run(sql: string): void {
    this.#db.prepare(sql).run();
  }

  #number(sql: string): number {
    return ownQuery(this.#db, sql, value(INTEGER)).one();
  }
}

/** Drops a table of the main database, whatever the case of its name. A view belongs to another program and is kept. */
export function dropTable(db: Writer, name: string): void {
  const sql = "SELECT name FROM main.sqlite_schema WHERE lower(name) = lower(?) AND type = 'table'";
  const found = query(db, sql, STORED_NAME).get(name);
  if (found) db.exec(`DROP TABLE main.${ident(found.name)}`);
}

/**
 * Returns the number of rows of any table. 0 when it cannot be read, such as a virtual table whose module is missing.
 */
export function countRows(db: Reader, name: string): number {
  try {
    return ownQuery(db, `SELECT count(*) FROM main.${ident(name)}`, value(INTEGER)).one();
  } catch (error) {
    if ((error as { code?: unknown }).code === 'SQLITE_ERROR') return 0;
    throw error;
  }
}
