import type { Seq } from '@tidemark/protocol/cursor';
import { TidemarkError } from '@tidemark/protocol/errors';
import type BetterSqlite3 from 'better-sqlite3';
import type { Reader, Writer } from './sqlite.ts';

/**
 * Typed results of SQL. No other module assigns types to values that SQLite returns.
 *
 * A caller states the shape of a row once, as column types (`row({ id: INTEGER, name: TEXT })`), and TypeScript infers
 * the type of the result. Reading a row checks each value against the shape, because other programs can write to every
 * replica, and SQLite does not enforce a column's declared type.
 *
 * The check costs one call per value. Loops over the rows of feed tables use {@link RAW_ROW}, whose type promises only
 * the storage classes of SQLite and needs no check.
 *
 * This module never interprets a value: the caller turns text into a schema, scopes or a time.
 */

/** Any value that SQLite can return for a column, with 64-bit integers as bigint. */
export type SqliteValue = null | number | bigint | string | Buffer;

/** The type of one column. `name` appears in error messages. */
export interface ColumnKind<T> {
  readonly name: string;
  readonly accepts: (value: unknown) => value is T;
}

/** Defines a column type, for example a branded number. */
export function columnKind<T>(name: string, accepts: (value: unknown) => value is T): ColumnKind<T> {
  return { name, accepts };
}

export const TEXT = columnKind('text', (value): value is string => typeof value === 'string');
/** An integer that a JavaScript number holds exactly. */
export const INTEGER = columnKind('an integer', (value): value is number => Number.isSafeInteger(value));
/** Any number. */
export const REAL = columnKind('a number', (value): value is number => typeof value === 'number');
export const BLOB = columnKind('a blob', (value): value is Buffer => Buffer.isBuffer(value));
/** A truth value: the result of a comparison in SQL. */
export const FLAG = columnKind('0 or 1', (value): value is 0 | 1 => value === 0 || value === 1);
/** Any value, where another program may have written it or the caller parses it. */
export const UNKNOWN = columnKind('any value', (_value): _value is unknown => true);

/** A transaction's number in its feed. */
export const SEQ = columnKind('a seq', (value): value is Seq => INTEGER.accepts(value) && value >= 0);

/** The part of a zod schema that {@link accepted} uses. */
interface Schema<T> {
  safeParse(value: unknown): { success: true; data: T } | { success: false };
}

/** A value that a schema of the wire format accepts, such as an epoch. The schema must not transform the value. */
export function accepted<T>(name: string, schema: Schema<T>): ColumnKind<T> {
  return columnKind(name, (value): value is T => schema.safeParse(value).success);
}

/** Returns the column type that also accepts NULL. */
export function orNull<T>(kind: ColumnKind<T>): ColumnKind<T | null> {
  return columnKind(`${kind.name} or NULL`, (value): value is T | null => value === null || kind.accepts(value));
}

/**
 * The form of a result row. `object`: by column name. `value`: only the first column. `raw`: an array of all columns.
 */
type Mode = 'object' | 'value' | 'raw';

/** The shape of a result row. `check` returns its argument, or throws the error that `fail` returns. */
export interface RowShape<T> {
  readonly mode: Mode;
  readonly check: (found: unknown, fail: (problem: string) => TidemarkError) => T;
}

type ColumnKinds = Record<string, ColumnKind<unknown>>;
type RowOf<C extends ColumnKinds> = { [K in keyof C]: C[K] extends ColumnKind<infer T> ? T : never };

/** Reads each row as an object. Columns that the shape does not name are not checked. */
export function row<C extends ColumnKinds>(columns: C): RowShape<RowOf<C>> {
  const kinds = Object.entries(columns);
  return {
    mode: 'object',
    check: (found, fail) => {
      const values = found as Record<string, unknown>;
      for (const [name, kind] of kinds)
        if (!kind.accepts(values[name])) throw fail(`${name} is not ${kind.name}: ${typeof values[name]}`);
      return found as RowOf<C>;
    },
  };
}

/** Reads only the first column of each row. */
export function value<T>(kind: ColumnKind<T>): RowShape<T> {
  return {
    mode: 'value',
    check: (found, fail) => {
      if (!kind.accepts(found)) throw fail(`a value is not ${kind.name}: ${typeof found}`);
      return found;
    },
  };
}

/** Reads all columns in order, unchecked, with every integer as a bigint. For loops over feed rows. */
export const RAW_ROW: RowShape<SqliteValue[]> = { mode: 'raw', check: (found) => found as SqliteValue[] };

/** A statement that reads rows of type `T`. Its methods throw `db_damaged` when a row does not have the shape. */
export class Query<T> {
  readonly #statement: BetterSqlite3.Statement<unknown[]>;
  readonly #shape: RowShape<T>;
  readonly #fail: (problem: string) => TidemarkError;

  constructor(statement: BetterSqlite3.Statement<unknown[]>, shape: RowShape<T>) {
    this.#statement = statement;
    this.#shape = shape;
    this.#fail = (problem) =>
      new TidemarkError('db_damaged', { file: statement.database.name, detail: `${problem} (${statement.source})` });
  }

  /** Returns the first row. Undefined when there is none. */
  get(...bindings: unknown[]): T | undefined {
    const found = this.#statement.get(...bindings);
    return found === undefined ? undefined : this.#shape.check(found, this.#fail);
  }

  /** Returns the first row of a query that always has one. */
  one(...bindings: unknown[]): T {
    const found = this.#statement.get(...bindings);
    if (found === undefined) throw this.#fail('a row is missing');
    return this.#shape.check(found, this.#fail);
  }

  all(...bindings: unknown[]): T[] {
    const { check } = this.#shape;
    return this.#statement.all(...bindings).map((found) => check(found, this.#fail));
  }

  /** Iterates over the rows. A query is busy until its iterator has ended: see {@link ownQuery}. */
  iterate(...bindings: unknown[]): IterableIterator<T> {
    const rows = this.#statement.iterate(...bindings);
    // Feed rows need no check, so they do not need a second iterator either.
    return this.#shape.mode === 'raw' ? (rows as IterableIterator<T>) : this.#checked(rows);
  }

  *#checked(rows: Iterable<unknown>): IterableIterator<T> {
    const { check } = this.#shape;
    for (const found of rows) yield check(found, this.#fail);
  }
}

/**
 * Prepared queries, by connection, then by mode and SQL. The mode is part of the key because it is a state of the
 * statement.
 */
const SHARED = new WeakMap<Reader | Writer, Map<string, BetterSqlite3.Statement<unknown[]>>>();

/**
 * Returns a query that is prepared once per connection and shared by all callers with the same SQL. Iterate over it
 * only if the loop body cannot run the same SQL.
 */
export function query<T>(db: Reader | Writer, sql: string, shape: RowShape<T>): Query<T> {
  let known = SHARED.get(db);
  if (!known) {
    known = new Map();
    SHARED.set(db, known);
  }
  const name = `${shape.mode} ${sql}`;
  let statement = known.get(name);
  if (!statement) {
    statement = prepare(db, sql, shape.mode);
    known.set(name, statement);
  }
  return new Query(statement, shape);
}

/** Returns a query that is not shared, for long iterations and for SQL that is used only once. */
export function ownQuery<T>(db: Reader | Writer, sql: string, shape: RowShape<T>): Query<T> {
  return new Query(prepare(db, sql, shape.mode), shape);
}

/** Whether a query returns a row. */
export function exists(db: Reader | Writer, sql: string, ...bindings: unknown[]): boolean {
  return query(db, sql, value(UNKNOWN)).get(...bindings) !== undefined;
}

function prepare(db: Reader | Writer, sql: string, mode: Mode): BetterSqlite3.Statement<unknown[]> {
  const statement = db.prepare<unknown[]>(sql);
  if (mode === 'value') statement.pluck();
  if (mode === 'raw') statement.raw().safeIntegers();
  return statement;
}
