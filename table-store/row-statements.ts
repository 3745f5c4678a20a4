import { TidemarkError } from '@tidemark/protocol/errors';
import type { WireKey, WireRow, WireValue } from '@tidemark/protocol/lines';
import type { ColumnType, TableSchema } from '@tidemark/protocol/schema';
import type BetterSqlite3 from 'better-sqlite3';
import { ident, type Writer } from './sqlite.ts';
import { columnList, rowidOf } from './table-ddl.ts';

/** Rows of one multi-row statement; measured as the fastest for tables of up to some twenty columns. */
const ROWS_AT_ONCE = 50;
/** SQLite's limit of variables in one statement. */
const VARIABLES = 32_766;

type Bound = WireValue | Buffer;

/** Runs it and returns how many rows changed. A value that no column takes, such as a boolean, is the sender's mistake. */
function run(statement: BetterSqlite3.Statement, values: Bound[]): number {
  try {
    return statement.run(values).changes;
  } catch (error) {
    if (error instanceof TypeError)
      throw new TidemarkError('page_invalid', { detail: 'a value is of no known kind' }, error);
    throw error;
  }
}

/** The prepared statements that change and read the rows of one table. A table without a key takes whole rows as keys. */
export class RowStatements {
  readonly #db: Writer;
  readonly #schema: TableSchema;
  readonly #types: ColumnType[];
  readonly #keyTypes: ColumnType[];
  readonly #blobs: number[];
  readonly #batchRows: number;
  #one: BetterSqlite3.Statement | undefined;
  #oneSame: BetterSqlite3.Statement | undefined;
  #many: BetterSqlite3.Statement | undefined;
  #delete: BetterSqlite3.Statement | undefined;
  #read: BetterSqlite3.Statement | undefined;
  #readSome: BetterSqlite3.Statement | undefined;

  constructor(db: Writer, schema: TableSchema) {
    this.#db = db;
    this.#schema = schema;
    this.#types = schema.columns.map((column) => column.type);
    this.#keyTypes = schema.key.map((name) => schema.columns.find((column) => column.name === name)?.type ?? 'text');
    this.#blobs = this.#types.flatMap((type, i) => (type === 'blob' ? [i] : []));
    this.#batchRows = Math.max(1, Math.min(ROWS_AT_ONCE, Math.floor(VARIABLES / schema.columns.length)));
  }

  /**
   * Inserts rows, or changes those whose key is there; without a key they are added. A unique index of another program
   * makes it fail, where INSERT OR REPLACE would delete the rows that are in the way. `same`: columns that no row that is
   * there changes, the same at each call: their indexes are left alone.
   */
  upsert(rows: WireRow[], same?: ReadonlySet<string>): void {
    if (same !== undefined) {
      this.#oneSame ??= this.#db.prepare(this.#upsertSql(1, same));
      for (const row of rows) if (run(this.#oneSame, this.#checked(row)) !== 1) this.#kept();
      return;
    }
    const width = this.#types.length;
    let next = 0;
    if (rows.length >= this.#batchRows && this.#batchRows > 1) {
      this.#many ??= this.#db.prepare(this.#upsertSql(this.#batchRows));
      const flat: Bound[] = new Array(width * this.#batchRows);
      for (; next + this.#batchRows <= rows.length; next += this.#batchRows) {
        let at = 0;
        for (let r = next; r < next + this.#batchRows; r++) {
          const row = this.#checked(rows[r]);
          for (let c = 0; c < width; c++) flat[at++] = row[c] as Bound;
        }
        if (run(this.#many, flat) !== this.#batchRows) this.#kept();
      }
    }
    if (next === rows.length) return;
    this.#one ??= this.#db.prepare(this.#upsertSql(1));
    for (; next < rows.length; next++) if (run(this.#one, this.#checked(rows[next])) !== 1) this.#kept();
  }

  /** Deletes rows by key, without a key one of those that are equal to it; returns how many there were. */
  delete(keys: WireKey[]): number {
    this.#delete ??= this.#db.prepare(`DELETE FROM ${this.#name()} WHERE ${this.#oneMatch()}`);
    let deleted = 0;
    for (const key of keys) {
      const here = run(this.#delete, this.#boundKey(key));
      if (here === 0 && this.read(key) !== null) this.#kept();
      deleted += here;
    }
    return deleted;
  }

  truncate(): void {
    this.#db.exec(`DELETE FROM ${this.#name()}`);
    if (this.#db.prepare(`SELECT 1 FROM ${this.#name()} LIMIT 1`).get()) this.#kept();
  }

  /** The row of this key, each value as it would travel. `only`: the columns whose values are wanted, the same at each call; others are null. */
  read(key: WireKey, only?: ReadonlySet<string>): WireRow | null {
    if (only === undefined) this.#read ??= this.#select();
    else this.#readSome ??= this.#select(only);
    const statement = only === undefined ? this.#read : this.#readSome;
    const row = statement?.get(this.#boundKey(key)) as unknown[] | undefined;
    return row?.map(toWire) ?? null;
  }

  #select(only?: ReadonlySet<string>): BetterSqlite3.Statement {
    const wanted = this.#schema.columns.map(({ name }) => (only?.has(name) === false ? 'NULL' : ident(name)));
    return this.#db
      .prepare(`SELECT ${wanted.join(', ')} FROM ${this.#name()} WHERE ${this.#match()} LIMIT 1`)
      .safeIntegers()
      .raw();
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
    // As one comparison of rows: one for each column would exceed SQLite's depth of expressions in a wide table.
    if (this.#keyless) return `(${this.#columns()}) IS (${this.#types.map(() => '?').join(', ')})`;
    return this.#schema.key.map((name) => `${ident(name)} = ?`).join(' AND ');
  }

  #oneMatch(): string {
    if (!this.#keyless) return this.#match();
    const rowid = rowidOf(this.#schema);
    return `${rowid} = (SELECT ${rowid} FROM ${this.#name()} WHERE ${this.#match()} LIMIT 1)`;
  }

  #upsertSql(rows: number, same?: ReadonlySet<string>): string {
    const row = `(${this.#types.map(() => '?').join(',')})`;
    return `INSERT INTO ${this.#name()} (${this.#columns()}) VALUES ${new Array(rows).fill(row).join(',')}${this.#onConflict(same)}`;
  }

  #onConflict(same?: ReadonlySet<string>): string {
    const { columns, key } = this.#schema;
    if (key.length === 0) return '';
    const changes = (name: string) => !key.includes(name) && same?.has(name) !== true;
    const others = columns.filter(({ name }) => changes(name)).map(({ name }) => ident(name));
    // A row that is all key is set to what it is: so it counts as changed.
    const set = others.length > 0 ? others : [ident(key[0] ?? '')];
    return ` ON CONFLICT (${columnList(key)}) DO UPDATE SET ${set.map((name) => `${name} = excluded.${name}`).join(', ')}`;
  }

  #checked(row: WireRow | undefined): Bound[] {
    if (!Array.isArray(row) || row.length !== this.#types.length) {
      throw new TidemarkError('page_invalid', {
        detail: `a row of ${this.#schema.name} has ${row?.length ?? 'no'} values instead of ${this.#types.length}`,
      });
    }
    for (let i = 0; i < row.length; i++) {
      if (typeof row[i] === 'number' && (this.#types[i] === 'text' || this.#types[i] === 'blob')) this.#wrong(i);
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

  /** A change that does not fail and is not made is a trigger's doing. */
  #kept(): never {
    throw new TidemarkError('replica_altered', {
      table: this.#schema.name,
      detail: 'a trigger keeps rows from being changed',
    });
  }

  #wrong(column: number): never {
    throw new TidemarkError('page_invalid', {
      detail: `a value of ${this.#schema.name}.${this.#schema.columns[column]?.name} is a number where text is due`,
    });
  }
}

function toBuffer(value: WireValue): Buffer | null {
  return value === null ? null : Buffer.from(String(value), 'base64');
}

/** Integers of up to 15 digits are exact as numbers; longer ones travel as strings. */
const EXACT = 999_999_999_999_999n;

/** A value of SQLite as it travels. */
export function toWire(value: unknown): WireValue {
  if (typeof value === 'bigint') return value <= EXACT && value >= -EXACT ? Number(value) : String(value);
  if (Buffer.isBuffer(value)) return value.toString('base64');
  return value as WireValue;
}
