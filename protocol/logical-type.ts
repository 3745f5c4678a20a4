import { z } from 'zod';

/**
 * The meaning of a column's values, in terms that are common to every kind of master. The feed derives the logical type
 * from the master's own type, and the relay compares values by it. The set is closed: a type that fits no other kind is
 * `other`.
 *
 * A logical type belongs to one version of a table's schema, so it contains nothing that can change at the master while
 * the table's schema stays the same. For this reason `enum` does not list its labels. See
 * docs/decisions/2026-11-25-logical-types-within-version-1.md.
 */

const bits = z.union([z.literal(8), z.literal(16), z.literal(24), z.literal(32), z.literal(64)]);

export const LogicalType = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('boolean') }),
  /** An integer of this width: two's complement, or unsigned. */
  z.object({ kind: z.literal('integer'), bits, unsigned: z.literal(true).optional() }),
  /**
   * Exact decimal numbers. `precision`: number of significant digits. `scale`: number of digits after the point; may be
   * negative or larger than the precision. Null: unlimited.
   */
  z.object({ kind: z.literal('decimal'), precision: z.int().positive().nullable(), scale: z.int().nullable() }),
  /** Binary floating point (IEEE 754). Such values cannot be compared exactly with decimal text. */
  z.object({ kind: z.literal('float'), bits: z.union([z.literal(32), z.literal(64)]) }),
  /** Text in which trailing spaces are significant. */
  z.object({ kind: z.literal('text') }),
  /** Text padded with spaces to `length` characters. Trailing spaces are not significant. Null: no fixed length. */
  z.object({ kind: z.literal('character'), length: z.int().positive().nullable() }),
  z.object({ kind: z.literal('uuid') }),
  z.object({ kind: z.literal('enum') }),
  /**
   * Dates and times in the formats of docs/types.md. `timestamp` has no time zone; `timestamptz` is an instant, written
   * in UTC.
   */
  z.object({ kind: z.literal('date') }),
  z.object({ kind: z.literal('time') }),
  z.object({ kind: z.literal('timestamp') }),
  z.object({ kind: z.literal('timestamptz') }),
  z.object({ kind: z.literal('interval') }),
  z.object({ kind: z.literal('json') }),
  z.object({ kind: z.literal('binary') }),
  /** The master's own text, compared character by character. */
  z.object({ kind: z.literal('other') }),
]);
export type LogicalType = z.infer<typeof LogicalType>;

/** Whether two logical types are the same. */
export function sameLogicalType(a: LogicalType, b: LogicalType): boolean {
  return sortedJson(a) === sortedJson(b);
}

const sortedJson = (type: LogicalType) => JSON.stringify(Object.entries(type).sort(([a], [b]) => (a < b ? -1 : 1)));
