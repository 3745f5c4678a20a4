import type { LogicalType } from '@tidemark/protocol/logical-type';
import type { ColumnSchema } from '@tidemark/protocol/schema';

/**
 * Derives the logical type of a column whose schema does not declare one, because the schema is from before the field
 * existed. All such schemas are from Postgres, so only this module of the relay reads Postgres type names. It must not
 * change, because stored rows were routed by the derived types.
 */

const BITS: Record<string, 16 | 32> = { smallint: 16, integer: 32 };
const NUMERIC = /^numeric(?:\((\d+),(-?\d+)\))?$/;
const CHARACTER = /^(?:character\((\d+)\)|bpchar)$/;
const TIME = /^time(\(\d\))? without time zone$/;
const TIMESTAMP = /^timestamp(\(\d\))? without time zone$/;
const TIMESTAMPTZ = /^timestamp(\(\d\))? with time zone$/;

/**
 * Returns the declared logical type, or the one that the Postgres type name implies. The name of a domain implies
 * `other`.
 */
export function logicalTypeOf(column: ColumnSchema): LogicalType {
  return column.logical ?? derived(column);
}

function derived({ type, source }: ColumnSchema): LogicalType {
  switch (type) {
    case 'integer':
      return source === 'boolean' ? { kind: 'boolean' } : { kind: 'integer', bits: BITS[source] ?? 64 };
    case 'numeric':
      return decimal(source) ?? { kind: 'decimal', precision: null, scale: null };
    case 'real':
      return { kind: 'float', bits: source === 'real' ? 32 : 64 };
    case 'blob':
      return { kind: 'binary' };
    case 'text':
      return decimal(source) ?? character(source) ?? named(source);
  }
}

function decimal(source: string): LogicalType | null {
  const match = NUMERIC.exec(source);
  if (!match) return null;
  const [, precision, scale] = match;
  return precision === undefined
    ? { kind: 'decimal', precision: null, scale: null }
    : { kind: 'decimal', precision: Number(precision), scale: Number(scale) };
}

function character(source: string): LogicalType | null {
  const match = CHARACTER.exec(source);
  return match ? { kind: 'character', length: match[1] === undefined ? null : Number(match[1]) } : null;
}

function named(source: string): LogicalType {
  if (source === 'uuid' || source === 'date') return { kind: source };
  if (TIME.test(source)) return { kind: 'time' };
  if (TIMESTAMP.test(source)) return { kind: 'timestamp' };
  if (TIMESTAMPTZ.test(source)) return { kind: 'timestamptz' };
  return { kind: 'other' };
}
