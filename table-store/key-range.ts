import type { KeyRange } from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { WireKey, WireValue } from '@tidemark/protocol/lines';
import type { ColumnType, TableSchema } from '@tidemark/protocol/schema';
import { ident } from './sqlite.ts';

/**
 * Converts ranges of a table's key to SQL, over the alias `t`.
 *
 * A range has an exclusive lower bound and an inclusive upper bound. A null bound means no bound. A table without a key
 * has only the range {@link ALL_ROWS}, whose `after` may be the number of rows to skip.
 */
export const ALL_ROWS: KeyRange = { after: null, upto: null };

export type BoundValue = string | number | bigint | Buffer | null;

/** SQL, and the values of its `?`. `where` is empty when the range is all rows. */
export interface RangeSql {
  where: string;
  values: BoundValue[];
}

/** The key of one table, as SQL. */
export class KeyColumns {
  readonly #table: string;
  readonly #types: ColumnType[];
  /** Key columns over the alias `t`, separated by commas. Empty for a table without a key. */
  readonly sql: string;

  constructor(schema: TableSchema) {
    this.#table = schema.name;
    this.#types = schema.key.map((name) => schema.columns.find((column) => column.name === name)?.type ?? 'text');
    this.sql = schema.key.map((name) => `t.${ident(name)}`).join(', ');
  }

  get isEmpty(): boolean {
    return this.#types.length === 0;
  }

  /** Throws `request_invalid` when a range does not fit the key. */
  requireFits(range: KeyRange): void {
    if (this.isEmpty) {
      const [skip = 0, ...more] = range.after ?? [];
      if (range.upto === null && more.length === 0 && Number.isSafeInteger(skip) && Number(skip) >= 0) return;
      throw new TidemarkError('request_invalid', {
        detail: `range: ${this.#table} has no key; its rows follow after a number of them`,
      });
    }
    for (const end of ['after', 'upto'] as const) {
      const key = range[end];
      if (key === null) continue;
      if (key.length !== this.#types.length || key.includes(null))
        throw new TidemarkError('request_invalid', {
          detail: `range.${end}: a key of ${this.#table} has ${this.#types.length} values, none of them null`,
        });
    }
  }

  /** Returns SQL that selects a range. */
  within({ after, upto }: KeyRange): RangeSql {
    const terms: string[] = [];
    const values: BoundValue[] = [];
    const placeholders = this.#types.map(() => '?').join(', ');
    const add = (key: WireKey | null, operator: string) => {
      if (key === null) return;
      terms.push(`(${this.sql}) ${operator} (${placeholders})`);
      values.push(...key.map((value, i) => boundValue(value, this.#types[i] ?? 'text')));
    };
    add(after, '>');
    add(upto, '<=');
    return { where: terms.length === 0 ? '' : `WHERE ${terms.join(' AND ')}`, values };
  }
}

/** Converts a value of a key from wire format to the form that SQLite compares. */
function boundValue(value: WireValue, type: ColumnType): BoundValue {
  if (value === null) return null;
  if (type === 'blob') return Buffer.from(String(value), 'base64');
  if (type !== 'integer') return value;
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (!/^-?\d{1,19}$/.test(value)) return value;
  const integer = BigInt(value);
  return BigInt.asIntN(64, integer) === integer ? integer : value;
}
