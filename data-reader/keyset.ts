import { TidemarkError } from '@tidemark/protocol/errors';
import type { SqliteValue } from '@tidemark/table-store/query';
import { ident } from '@tidemark/table-store/sqlite';
import { z } from 'zod';

/**
 * Orders of rows, and the SQL that selects the rows after or before a position in an order.
 *
 * An order is a list of terms, of which the last ones are the table's key, so that no two rows have the same position.
 * One direction applies to all terms. Then an index serves both directions, and reversing the direction reverses the
 * order. Only the first term may be NULL, and NULL is less than any other value, as in SQLite. Values are bound, never
 * written into the SQL.
 */

/** The values of an order's terms in one row. */
export type Position = readonly SqliteValue[];

export interface SqlPart {
  sql: string;
  values: SqliteValue[];
}

/** The column that the order begins with, in addition to the key. `numeric`: compares text as numbers. */
export interface SortTerm {
  column: string;
  numeric: boolean;
}

export class Keyset {
  /** SQL of the term that may be NULL. Null: the order is the order of the key. */
  readonly #first: string | null;
  readonly #key: string[];
  readonly #descending: boolean;

  /** `key`: names of the key columns, or the name of the rowid. */
  constructor(key: readonly string[], sort: SortTerm | null, descending: boolean) {
    // In the order of a column that begins the key, the key's own order is the same one, and has an index.
    const byKey = sort === null || (sort.column === key[0] && !sort.numeric);
    this.#first = byKey ? null : termSql(sort);
    this.#key = (byKey || sort.numeric ? key : key.filter((name) => name !== sort.column)).map(columnSql);
    this.#descending = descending;
  }

  /** Whether the order is the order of the key, which has an index. */
  get isKeyOrder(): boolean {
    return this.#first === null;
  }

  /** The terms, over the alias `t`. */
  get terms(): string[] {
    return this.#first === null ? this.#key : [this.#first, ...this.#key];
  }

  /** Returns the terms of `ORDER BY`. `backwards`: in the reverse order. */
  orderBy(backwards: boolean): string {
    const direction = this.#descending === backwards ? 'ASC' : 'DESC';
    return this.terms.map((term) => `${term} ${direction}`).join(', ');
  }

  /** Returns the condition for the rows after a position, or before it. */
  beyond(position: Position, backwards: boolean): SqlPart {
    const isUp = this.#descending === backwards;
    const [first, ...rest] = position;
    if (this.#first === null) return this.#compareKey(isUp ? '>' : '<', position);
    const key = this.#compareKey(isUp ? '>' : '<', rest);
    const term = this.#first;
    if (first === null || first === undefined)
      return isUp
        ? { sql: `((${term} IS NULL AND ${key.sql}) OR ${term} IS NOT NULL)`, values: key.values }
        : { sql: `(${term} IS NULL AND ${key.sql})`, values: key.values };
    const values = [first, first, ...key.values];
    return isUp
      ? { sql: `(${term} >= ? AND (${term} > ? OR ${key.sql}))`, values }
      : { sql: `((${term} <= ? AND (${term} < ? OR ${key.sql})) OR ${term} IS NULL)`, values };
  }

  /** Returns the condition for the rows up to a position and including it. Only for the order of the key. */
  upTo(position: Position): SqlPart {
    return this.#compareKey(this.#descending ? '>=' : '<=', position);
  }

  #compareKey(operator: string, values: Position): SqlPart {
    const placeholders = this.#key.map(() => '?').join(', ');
    return { sql: `(${this.#key.join(', ')}) ${operator} (${placeholders})`, values: [...values] };
  }
}

const columnSql = (name: string) => `t.${ident(name)}`;
const termSql = ({ column, numeric }: SortTerm) =>
  numeric ? `CAST(${columnSql(column)} AS NUMERIC)` : columnSql(column);

/** The text form of a key: a JSON list of values, each with the letter of its storage class. */
const KeyText = z.array(z.string().regex(/^[nirtb]/));

/** Returns the text that identifies a row by the values of its key. */
export function encodeKey(key: Position): string {
  return JSON.stringify(key.map(encodeValue));
}

function encodeValue(value: SqliteValue): string {
  if (value === null) return 'n';
  if (typeof value === 'bigint') return `i${value}`;
  if (typeof value === 'number') return `r${value}`;
  if (typeof value === 'string') return `t${value}`;
  return `b${value.toString('hex')}`;
}

/** Returns the values of a key of `length` columns. Throws `request_invalid`. */
export function decodeKey(text: string, length: number): SqliteValue[] {
  const invalid = new TidemarkError('request_invalid', { detail: 'key: expected the key of a row' });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw invalid;
  }
  const values = KeyText.safeParse(json);
  if (!values.success || values.data.length !== length) throw invalid;
  return values.data.map((value) => {
    const rest = value.slice(1);
    switch (value[0]) {
      case 'n':
        return null;
      case 'i':
        if (!/^-?\d{1,19}$/.test(rest)) throw invalid;
        return BigInt.asIntN(64, BigInt(rest));
      case 'r':
        return Number(rest);
      case 't':
        return rest;
      default:
        return Buffer.from(rest, 'hex');
    }
  });
}
