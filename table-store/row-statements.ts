import { TidemarkError } from '@tidemark/protocol/errors';
import type { WireKey, WireRow, WireValue } from '@tidemark/protocol/lines';
import type { ColumnType, TableSchema } from '@tidemark/protocol/schema';
import type BetterSqlite3 from 'better-sqlite3';
import { exists, ownQuery, type Query, RAW_ROW, type SqliteValue } from './query.ts';
import { ident, type Writer } from './sqlite.ts';
import { columnList, rowidOf } from './table-ddl.ts';

/**
 * The prepared statements that change and read the rows of one table: the inner loop of ingest and of every pull.
 *
 * Rows and keys arrive in wire format, and this module checks them against the column types, because a separate schema
 * check would cost more than the write. A row that does not fit throws `page_invalid`. A change that SQLite reports as
 * successful although no row changed was suppressed by another program's trigger and throws `replica_altered`.
 */

/** Number of rows in a multi-row statement. Measured as the fastest for tables of up to about twenty columns. */
const ROWS_AT_ONCE = 50;
/** SQLite's limit on the variables of one statement. */
const VARIABLES = 32_766;

type Bound = WireValue | Buffer;

/**
 * Runs a statement and returns the number of changed rows. Throws `page_invalid` for a value that SQLite cannot bind,
 * such as a boolean.
 */
function run(statement: BetterSqlite3.Statement, values: Bound[]): number {
  try {
    return statement.run(values).changes;
  } catch (error) {
    if (error instanceof TypeError)
      throw new TidemarkError('page_invalid', { detail: 'a value is of no known kind' }, error);
    throw error;
  }
}

/** Statements for one table. In a table without a key, a key is all values of a row. */
export class RowStatements {
  readonly #db: Writer;
  readonly #schema: TableSchema;
  readonly #types: ColumnType[];
  readonly #keyTypes: ColumnType[];
  readonly #blobs: number[];
  readonly #rowsPerBatch: number;
  #one: BetterSqlite3.Statement | undefined;
  #oneChanged: BetterSqlite3.Statement | undefined;
  #many: BetterSqlite3.Statement | undefined;
  #delete: BetterSqlite3.Statement | undefined;
  #read: Query<SqliteValue[]> | undefined;
  #readSome: Query<SqliteValue[]> | undefined;

  constructor(db: Writer, schema: TableSchema) {
    this.#db = db;
    this.#schema = schema;
    this.#types = schema.columns.map((column) => column.type);
    this.#keyTypes = schema.key.map((name) => schema.columns.find((column) => column.name === name)?.type ?? 'text');
    this.#blobs = this.#types.flatMap((type, i) => (type === 'blob' ? [i] : []));
    this.#rowsPerBatch = Math.max(1, Math.min(ROWS_AT_ONCE, Math.floor(VARIABLES / schema.columns.length)));
  }

  /**
   * Inserts rows, and updates rows whose key exists. In a table without a key, adds them. Fails on a unique index of
   * another program, because INSERT OR REPLACE would delete the conflicting rows instead. `unchanged`: columns that
   * have their stored value in every row that exists, so that their indexes need no update. The set must be the same in
   * each call.
   */
  upsert(rows: WireRow[], unchanged?: ReadonlySet<string>): void {
    if (unchanged !== undefined) {
      this.#oneChanged ??= this.#db.prepare(this.#upsertSql(1, unchanged));
      for (const row of rows) if (run(this.#oneChanged, this.#checked(row)) !== 1) this.#changeHadNoEffect();
      return;
    }
    const width = this.#types.length;
    let next = 0;
    if (rows.length >= this.#rowsPerBatch && this.#rowsPerBatch > 1) {
      this.#many ??= this.#db.prepare(this.#upsertSql(this.#rowsPerBatch));
      const flat: Bound[] = new Array(width * this.#rowsPerBatch);
      for (; next + this.#rowsPerBatch <= rows.length; next += this.#rowsPerBatch) {
        let at = 0;
        for (let r = next; r < next + this.#rowsPerBatch; r++) {
          const row = this.#checked(rows[r]);
          for (let c = 0; c < width; c++) flat[at++] = row[c] as Bound;
        }
        if (run(this.#many, flat) !== this.#rowsPerBatch) this.#changeHadNoEffect();
      }
    }
    if (next === rows.length) return;
    this.#one ??= this.#db.prepare(this.#upsertSql(1));
    for (; next < rows.length; next++) if (run(this.#one, this.#checked(rows[next])) !== 1) this.#changeHadNoEffect();
  }

  /** Deletes rows by key and returns their number. In a table without a key, deletes one of the equal rows. */
  delete(keys: WireKey[]): number {
    this.#delete ??= this.#db.prepare(`DELETE FROM ${this.#name()} WHERE ${this.#oneMatch()}`);
    let deleted = 0;
    for (const key of keys) {
      const found = run(this.#delete, this.#boundKey(key));
      if (found === 0 && this.read(key) !== null) this.#changeHadNoEffect();
      deleted += found;
    }
    return deleted;
  }

  truncate(): void {
    this.#db.exec(`DELETE FROM ${this.#name()}`);
    if (exists(this.#db, `SELECT 1 FROM ${this.#name()} LIMIT 1`)) this.#changeHadNoEffect();
  }

  /**
   * Returns the row with this key, in wire format. Null when there is none. `only`: the columns to read, the same set
   * in each call; the others are null.
   */
  read(key: WireKey, only?: ReadonlySet<string>): WireRow | null {
    if (only === undefined) this.#read ??= this.#select();
    else this.#readSome ??= this.#select(only);
    const statement = only === undefined ? this.#read : this.#readSome;
    return statement?.get(this.#boundKey(key))?.map(toWire) ?? null;
  }

  #select(only?: ReadonlySet<string>): Query<SqliteValue[]> {
    const wanted = this.#schema.columns.map(({ name }) => (only?.has(name) === false ? 'NULL' : ident(name)));
    return ownQuery(
      this.#db,
      `SELECT ${wanted.join(', ')} FROM ${this.#name()} WHERE ${this.#match()} LIMIT 1`,
      RAW_ROW,
    );
  }

  #name(): string {
    return ident(this.#schema.name);
  }

  #columns(): string {
    return columnList(this.#schema.columns.map(({ name }) => name));
  }

  get #keyless(): boolean {
    return this.#schema.key.length === 0;
  }

  #match(): string {
    // Compares row values with a single operator, because one term per column would exceed SQLite's expression depth in
    // a wide table.
    if (this.#keyless) return `(${this.#columns()}) IS (${this.#types.map(() => '?').join(', ')})`;
    return this.#schema.key.map((name) => `${ident(name)} = ?`).join(' AND ');
  }

  #oneMatch(): string {
    if (!this.#keyless) return this.#match();
    const rowid = rowidOf(this.#schema);
    return `${rowid} = (SELECT ${rowid} FROM ${this.#name()} WHERE ${this.#match()} LIMIT 1)`;
  }

  #upsertSql(rows: number, unchanged?: ReadonlySet<string>): string {
    const row = `(${this.#types.map(() => '?').join(',')})`;
    return `INSERT INTO ${this.#name()} (${this.#columns()}) VALUES ${new Array(rows).fill(row).join(',')}${this.#onConflict(unchanged)}`;
  }

  #onConflict(unchanged?: ReadonlySet<string>): string {
    const { columns, key } = this.#schema;
    if (key.length === 0) return '';
    const changes = (name: string) => !key.includes(name) && unchanged?.has(name) !== true;
    const others = columns.filter(({ name }) => changes(name)).map(({ name }) => ident(name));
    // When every column belongs to the key, setting one to itself makes SQLite count the row as changed.
    const set = others.length > 0 ? others : [ident(key[0] ?? '')];
    return ` ON CONFLICT (${columnList(key)}) DO UPDATE SET ${set.map((name) => `${name} = excluded.${name}`).join(', ')}`;
  }

  /** Converts the values of a row to the form that SQLite binds. */
  #checked(row: WireRow | undefined): Bound[] {
    if (!Array.isArray(row) || row.length !== this.#types.length) {
      throw new TidemarkError('page_invalid', {
        detail: `a row of ${this.#schema.name} has ${row?.length ?? 'no'} values instead of ${this.#types.length}`,
      });
    }
    for (let i = 0; i < row.length; i++) {
      if (typeof row[i] === 'number' && (this.#types[i] === 'text' || this.#types[i] === 'blob'))
        this.#throwNumberInText(i);
    }
    if (this.#blobs.length === 0) return row;
    const bound: Bound[] = row.slice();
    for (const i of this.#blobs) bound[i] = toBuffer(row[i] ?? null);
    return bound;
  }

  #boundKey(key: WireKey): Bound[] {
    if (this.#keyless) return this.#checked(key);
    if (!Array.isArray(key) || key.length !== this.#keyTypes.length) {
      throw new TidemarkError('page_invalid', {
        detail: `a key of ${this.#schema.name} has not ${this.#keyTypes.length} values`,
      });
    }
    return key.map((value, i) => (this.#keyTypes[i] === 'blob' ? toBuffer(value) : value));
  }

  #changeHadNoEffect(): never {
    throw new TidemarkError('replica_altered', {
      table: this.#schema.name,
      detail: 'a trigger keeps rows from being changed',
    });
  }

  #throwNumberInText(column: number): never {
    throw new TidemarkError('page_invalid', {
      detail: `a value of ${this.#schema.name}.${this.#schema.columns[column]?.name} is a number where text is due`,
    });
  }
}

function toBuffer(value: WireValue): Buffer | null {
  return value === null ? null : Buffer.from(String(value), 'base64');
}

/**
 * The largest integer that is sent as a number: 15 digits. Larger ones are sent as strings, because JSON readers may
 * round them.
 */
const LARGEST_NUMBER = 999_999_999_999_999n;

/** Converts a value that SQLite returned with 64-bit integers as bigint ({@link RAW_ROW}) to wire format. */
export function toWire(value: unknown): WireValue {
  if (typeof value === 'bigint')
    return value <= LARGEST_NUMBER && value >= -LARGEST_NUMBER ? Number(value) : String(value);
  if (Buffer.isBuffer(value)) return value.toString('base64');
  return value as WireValue;
}
