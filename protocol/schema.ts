import { z } from 'zod';
import { LogicalType, sameLogicalType } from './logical-type.ts';

/**
 * Storage class of a column at a replica, by design.md's table of types.
 * - `integer`: exact over 64 bits, also booleans (0, 1). Travels as a number up to 15 digits, else as a decimal string.
 * - `numeric`: numeric(p, s), 0 ≤ s ≤ p ≤ 15. Travels as a number up to 15 digits, else (NaN) as a string.
 * - `real`: travels as a number; NaN and infinities as the strings 'NaN', 'Infinity', '-Infinity'.
 * - `text`: travels as a string.
 * - `blob`: travels as base64.
 * NULL travels as null in each.
 */
export const ColumnType = z.enum(['integer', 'numeric', 'real', 'text', 'blob']);
export type ColumnType = z.infer<typeof ColumnType>;

/** A logical type of a later version. */
const UnknownLogicalType = z.object({ kind: z.string() }).transform(() => undefined);

export const ColumnSchema = z.object({
  /** The master's name, unchanged. */
  name: z.string().min(1),
  type: ColumnType,
  /**
   * What the values mean, whatever the master. Absent in schemas written before the field existed; a kind that this
   * version does not know reads as absent.
   */
  logical: z.union([LogicalType, UnknownLogicalType]).optional(),
  /** The master's own type name, for people to read: `numeric(12,2)`. Programs read `logical`. */
  source: z.string(),
});
export type ColumnSchema = z.infer<typeof ColumnSchema>;

/** What a table looks like at a replica. */
export const TableSchema = z
  .object({
    /** Table name at the replica: the master's; of a Postgres schema other than public, `schema.table`. */
    name: z
      .string()
      .min(1)
      .refine((name) => !/^(tidemark_|sqlite_)/i.test(name), 'names that begin with tidemark_ or sqlite_ are reserved'),
    /** In the master's order. */
    columns: z.array(ColumnSchema).min(1),
    /** Names of the key columns, in key order; together they are unique and never null. Empty: no key, the rows are a multiset. */
    key: z.array(z.string()),
    /** Further indexes that a terminal makes, each by its columns. */
    indexes: z.array(z.array(z.string()).min(1)).optional(),
  })
  .refine(
    (table) => table.key.every((name) => table.columns.some((column) => column.name === name)),
    'a key column is missing',
  )
  .refine(
    (table) => new Set(table.columns.map((column) => column.name.toLowerCase())).size === table.columns.length,
    'two columns have one name (SQLite does not tell upper from lower case)',
  );
export type TableSchema = z.infer<typeof TableSchema>;

/** Number of one version of one table's schema; the feed gives a new one for each new schema, never reused in an epoch. */
export const TableId = z.int().positive();
export type TableId = number;

/**
 * Whether two schemas are the same at a replica: name, columns in order with their types, key, indexes. A column without
 * a logical type is the same as one that has it, so a table whose schema was stored before the field existed keeps its
 * id and is not read again.
 */
export function sameSchema(a: TableSchema, b: TableSchema): boolean {
  return shapeOf(a) === shapeOf(b) && a.columns.every((column, i) => agree(column.logical, b.columns[i]?.logical));
}

const shapeOf = ({ name, columns, key, indexes = [] }: TableSchema) =>
  JSON.stringify([name, columns.map((column) => [column.name, column.type, column.source]), key, indexes]);

const agree = (a: LogicalType | undefined, b: LogicalType | undefined) =>
  a === undefined || b === undefined || sameLogicalType(a, b);
