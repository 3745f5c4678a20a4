import type { ColumnSchema } from '@tidemark/protocol/schema';
import type { SqliteValue } from '@tidemark/table-store/query';
import { ident } from '@tidemark/table-store/sqlite';
import { type Cell, CUT_ABOVE_BYTES, SHOWN_BLOB_BYTES, SHOWN_CHARACTERS } from './contract.ts';

/**
 * Converts values of SQLite to cells: exact text, bounded in size.
 *
 * SQLite must load a value completely to return its beginning. A row can hold 32 MiB, so the beginning of a value above
 * {@link UNREAD_ABOVE_BYTES} is not read, and a page of such rows costs no more than other pages.
 */

const UNREAD_ABOVE_BYTES = 1024 * 1024;

/** Number of expressions that {@link cellSql} selects for a column. */
export const SQL_PER_CELL = 2;

/** Returns the two expressions of a column over the alias `t`: the value or its beginning, and the size if it was cut. */
export function cellSql({ name }: ColumnSchema): string {
  const column = `t.${ident(name)}`;
  const isLong = `typeof(${column}) IN ('text', 'blob') AND octet_length(${column}) > ${CUT_ABOVE_BYTES}`;
  const empty = `iif(typeof(${column}) = 'text', '', x'')`;
  const shown = `substr(${column}, 1, ${SHOWN_CHARACTERS})`;
  const beginning = `iif(octet_length(${column}) > ${UNREAD_ABOVE_BYTES}, ${empty}, ${shown})`;
  return `iif(${isLong}, ${beginning}, ${column}), iif(${isLong}, octet_length(${column}), NULL)`;
}

/** Returns the cell of a value. `size`: the size of a value that was cut, bytes. */
export function toCell(value: SqliteValue, size: SqliteValue, column: ColumnSchema): Cell {
  if (value === null) return null;
  if (Buffer.isBuffer(value)) {
    const bytes = size === null ? value.byteLength : Number(size);
    return { type: 'blob', hex: value.subarray(0, SHOWN_BLOB_BYTES).toString('hex'), bytes };
  }
  if (typeof value !== 'string') {
    const type = typeof value === 'bigint' ? 'integer' : 'real';
    return { type, text: numberText(value, column) };
  }
  return size === null ? { type: 'text', text: value } : { type: 'cut', text: value, bytes: Number(size) };
}

/** Returns a number with all its digits. A decimal has as many digits after the point as at the master. */
function numberText(value: number | bigint, { type, logical }: ColumnSchema): string {
  const scale = type === 'numeric' && logical?.kind === 'decimal' ? (logical.scale ?? 0) : 0;
  if (scale <= 0) return String(value);
  if (typeof value === 'bigint') return `${value}.${'0'.repeat(scale)}`;
  const padded = value.toFixed(Math.min(scale, 100));
  return Number(padded) === value ? padded : String(value);
}
