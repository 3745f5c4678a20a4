import { TidemarkError } from '@tidemark/protocol/errors';
import type { ColumnSchema } from '@tidemark/protocol/schema';
import type { SqliteValue } from '@tidemark/table-store/query';
import { ident } from '@tidemark/table-store/sqlite';
import type { Filter } from './contract.ts';
import type { SqlPart } from './keyset.ts';

/**
 * Converts filters to SQL over the alias `t`. Names are quoted and values are bound, never written into the SQL.
 *
 * `contains` finds text anywhere in a value and does not distinguish a to z from A to Z. The other operators compare
 * numbers as numbers in columns of numbers, and text by its code points in the others.
 */

/** Whether the values of a column are numbers. Decimals too wide for SQLite's numbers are stored as text. */
export const isNumber = ({ type, logical }: ColumnSchema): boolean =>
  type === 'integer' || type === 'numeric' || type === 'real' || logical?.kind === 'decimal';

/** Whether the values of a column are numbers that are stored as text. SQLite compares them as double precision. */
export const isWideDecimal = (column: ColumnSchema): boolean => column.type === 'text' && isNumber(column);

/** Returns the condition of all filters. Throws `request_invalid` for a filter that does not fit its column. */
export function filterSql(filters: readonly Filter[], columns: readonly ColumnSchema[]): SqlPart {
  const parts = filters.map((filter) => {
    const column = columns.find(({ name }) => name === filter.column);
    if (!column) throw invalid(filter, 'the table has no such column');
    return condition(filter, column);
  });
  return { sql: parts.map(({ sql }) => sql).join(' AND '), values: parts.flatMap(({ values }) => values) };
}

const COMPARISONS = { equals: '=', greater: '>', less: '<' } as const;

function condition(filter: Filter, column: ColumnSchema): SqlPart {
  const { operator, value } = filter;
  const name = `t.${ident(column.name)}`;
  if (operator === 'is-null') return { sql: `${name} IS NULL`, values: [] };
  if (operator === 'is-not-null') return { sql: `${name} IS NOT NULL`, values: [] };
  if (column.type === 'blob') throw invalid(filter, 'binary data can only be compared with NULL');
  if (operator === 'contains') {
    const pattern = `%${value.replaceAll(/[\\%_]/g, (found) => `\\${found}`)}%`;
    return { sql: `CAST(${name} AS TEXT) LIKE ? ESCAPE '\\'`, values: [pattern] };
  }
  const compared = isWideDecimal(column) ? `CAST(${name} AS NUMERIC)` : name;
  return {
    sql: `${compared} ${COMPARISONS[operator]} ?`,
    values: [isNumber(column) ? numberOf(filter) : value],
  };
}

/** Returns the number that a person typed: an integer of 64 bits exactly, any other number as double precision. */
function numberOf(filter: Filter): SqliteValue {
  const text = filter.value.trim();
  if (/^[+-]?\d{1,19}$/.test(text)) {
    const integer = BigInt(text);
    if (BigInt.asIntN(64, integer) === integer) return integer;
  }
  const number = Number(text);
  if (text === '' || Number.isNaN(number)) throw invalid(filter, 'expected a number');
  return number;
}

const invalid = ({ column }: Filter, detail: string) =>
  new TidemarkError('request_invalid', { detail: `filter on ${column}: ${detail}` });
