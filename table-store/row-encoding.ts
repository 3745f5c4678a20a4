import type { ColumnSchema, ColumnType, TableSchema } from '@tidemark/protocol/schema';
import { ident } from './sqlite.ts';

/**
 * The text of a row from which a checksum is computed (docs/protocol.md C2).
 *
 * Two rows have the same text exactly when they hold the same values in the same storage classes. SQLite builds the
 * text, because reading the rows into JavaScript costs several times as much. The text must not depend on SQLite's
 * version: relay and terminal may run different ones.
 */

/** Number of columns in one `concat`. SQLite limits the number of its arguments. */
const CONCAT_COLUMNS = 40;

/** Returns SQL for the text of a row of `table`, which is a quoted name or an alias. */
export function rowTextSql(schema: TableSchema, table: string): string {
  const groups: string[] = [];
  for (let from = 0; from < schema.columns.length; from += CONCAT_COLUMNS) {
    const columns = schema.columns.slice(from, from + CONCAT_COLUMNS);
    groups.push(`concat(${columns.map((column) => `${valueTextSql(column, table)}, ','`).join(', ')})`);
  }
  return groups.join(' || ');
}

/**
 * Returns SQL for the text of a value: a letter for its storage class, then the value. -0.0 becomes 0.0, because SQL
 * compares them as equal and JSON does not distinguish them.
 */
function valueTextSql({ name, type }: ColumnSchema, table: string): string {
  const x = `${table}.${ident(name)}`;
  const text = `WHEN 'text' THEN 't' || octet_length(${x}) || ':' || ${x}`;
  const integer = `WHEN 'integer' THEN 'i' || ${x}`;
  const absent = `WHEN 'null' THEN 'n'`;
  const blob = `WHEN 'blob' THEN 'b' || hex(${x})`;
  // SQLite versions print different decimals for a double. From 2^-10 upwards, its integer part and 2^62 times its
  // fraction are exact.
  const integerPart = `CAST(${x} AS INTEGER)`;
  const real = `WHEN 'real' THEN CASE WHEN abs(${x}) BETWEEN 0.001 AND 9e18
    THEN 'r' || ${integerPart} || '/' || CAST((${x} - ${integerPart}) * 4611686018427387904.0 AS INTEGER) ELSE 'q' || quote(${x} + 0.0) END`;
  // CASE tries the classes in order, so the most frequent ones come first.
  const order: Record<ColumnType, string[]> = {
    integer: [integer, absent, text, real, blob],
    numeric: [real, integer, absent, text, blob],
    real: [real, absent, integer, text, blob],
    text: [text, absent, integer, real, blob],
    blob: [blob, absent, text, integer, real],
  };
  return `CASE typeof(${x}) ${order[type].join(' ')} END`;
}
