import { z } from 'zod';
import { LogicalType, sameLogicalType } from './logical-type.ts';
import { SetAside } from './trouble.ts';

/**
 * Storage class of a column at a replica, see docs/types.md.
 * - `integer`: exact over 64 bits; booleans are 0 and 1. A JSON number up to 15 digits, otherwise a decimal string.
 * - `numeric`: numeric(p, s), 0 ≤ s ≤ p ≤ 15. A JSON number; NaN is a string.
 * - `real`: a JSON number; NaN and infinities are the strings 'NaN', 'Infinity', '-Infinity'.
 * - `text`: a string.
 * - `blob`: base64.
 *
 * NULL is null in every class.
 */
export const ColumnType = z.enum(['integer', 'numeric', 'real', 'text', 'blob']);
export type ColumnType = z.infer<typeof ColumnType>;

/** A logical type that a later version added. */
const UnknownLogicalType = z.object({ kind: z.string() }).transform(() => undefined);

export const ColumnSchema = z.object({
  /** The master's name, unchanged. */
  name: z.string().min(1),
  type: ColumnType,
  /**
   * The meaning of the values, independent of the master. Absent in schemas written before the field existed. A kind that
   * this version does not know reads as absent.
   */
  logical: z.union([LogicalType, UnknownLogicalType]).optional(),
  /** The master's own type name, for display: `numeric(12,2)`. Programs read `logical`. */
  source: z.string(),
});
export type ColumnSchema = z.infer<typeof ColumnSchema>;

/** A table at a replica: its name, columns, key and indexes. */
export const TableSchema = z
  .object({
    /** The table's name at the replica: the master's name, or `schema.table` outside the Postgres schema public. */
    name: z
      .string()
      .min(1)
      .refine((name) => !/^(tidemark_|sqlite_)/i.test(name), 'names that begin with tidemark_ or sqlite_ are reserved'),
    /** In the master's order. */
    columns: z.array(ColumnSchema).min(1),
    /**
     * The key columns in key order. Together they are unique and never null. Empty: the table has no key, and its rows
     * are a multiset.
     */
    key: z.array(z.string()),
    /** Additional indexes at terminals, each a list of columns. */
    indexes: z.array(z.array(z.string()).min(1)).optional(),
    /** Present while the table is set aside (F17): its rows do not follow the master. */
    setAside: SetAside.optional(),
  })
  .refine(
    (table) => table.key.every((name) => table.columns.some((column) => column.name === name)),
    'a key column is missing',
  )
  .refine(
    (table) => new Set(table.columns.map((column) => column.name.toLowerCase())).size === table.columns.length,
    'two columns have the same name (SQLite does not distinguish upper from lower case)',
  );
export type TableSchema = z.infer<typeof TableSchema>;

/**
 * Number of one version of a table's schema. The feed assigns a new number to each new schema, and never reuses one
 * within an epoch.
 */
export const TableId = z.int().positive();
export type TableId = number;

/**
 * Whether two schemas are the same at a replica: name, columns in order with their types, key, indexes, mark. A column
 * without a logical type equals one that has it, so a table whose schema was stored before the field existed keeps its
 * id and is not re-read.
 */
export function sameSchema(a: TableSchema, b: TableSchema): boolean {
  return shapeOf(a) === shapeOf(b) && a.columns.every((column, i) => agree(column.logical, b.columns[i]?.logical));
}

const shapeOf = ({ name, columns, key, indexes = [], setAside }: TableSchema) =>
  JSON.stringify([name, columns.map((column) => [column.name, column.type, column.source]), key, indexes, setAside]);

const agree = (a: LogicalType | undefined, b: LogicalType | undefined) =>
  a === undefined || b === undefined || sameLogicalType(a, b);
