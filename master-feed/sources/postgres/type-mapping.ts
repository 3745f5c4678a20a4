import type { LogicalType } from '@tidemark/protocol/logical-type';
import type { ColumnType } from '@tidemark/protocol/schema';
import type { Form } from './values.ts';

/** Maps Postgres types to storage classes and logical types. docs/types.md lists the same mapping. */

export interface Mapped {
  type: ColumnType;
  logical: LogicalType;
  form: Form;
}

const OID = {
  bool: 16,
  bytea: 17,
  char: 18,
  name: 19,
  int8: 20,
  int2: 21,
  int4: 23,
  text: 25,
  oid: 26,
  json: 114,
  float4: 700,
  float8: 701,
  bpchar: 1042,
  varchar: 1043,
  date: 1082,
  time: 1083,
  timestamp: 1114,
  timestamptz: 1184,
  interval: 1186,
  numeric: 1700,
  uuid: 2950,
  jsonb: 3802,
} as const;

/** The largest precision at which a double represents every value exactly. */
const EXACT_DIGITS = 15;

const text = (logical: LogicalType): Mapped => ({ type: 'text', logical, form: 'text' });

/**
 * Maps a base type by its OID, modifier and pg_type.typtype (`e` for an enum). For a domain, pass its base type. Types
 * that docs/types.md does not list arrive as text.
 */
export function mapType(oid: number, modifier: number, typtype = 'b'): Mapped {
  switch (oid) {
    case OID.int2:
      return { type: 'integer', logical: { kind: 'integer', bits: 16 }, form: 'number' };
    case OID.int4:
      return { type: 'integer', logical: { kind: 'integer', bits: 32 }, form: 'number' };
    case OID.int8:
      return { type: 'integer', logical: { kind: 'integer', bits: 64 }, form: 'number' };
    case OID.oid:
      return { type: 'integer', logical: { kind: 'integer', bits: 32, unsigned: true }, form: 'number' };
    case OID.bool:
      return { type: 'integer', logical: { kind: 'boolean' }, form: 'boolean' };
    case OID.numeric: {
      const logical = decimal(modifier);
      return isExact(logical) ? { type: 'numeric', logical, form: 'number' } : text(logical);
    }
    case OID.float4:
      return { type: 'real', logical: { kind: 'float', bits: 32 }, form: 'real' };
    case OID.float8:
      return { type: 'real', logical: { kind: 'float', bits: 64 }, form: 'real' };
    case OID.bytea:
      return { type: 'blob', logical: { kind: 'binary' }, form: 'blob' };
    case OID.timestamptz:
      return { type: 'text', logical: { kind: 'timestamptz' }, form: 'timestamptz' };
    case OID.timestamp:
      return { type: 'text', logical: { kind: 'timestamp' }, form: 'timestamp' };
    case OID.text:
    case OID.varchar:
    case OID.char:
    case OID.name:
      return text({ kind: 'text' });
    case OID.bpchar:
      return text({ kind: 'character', length: modifier < MODIFIER_BASE ? null : modifier - MODIFIER_BASE });
    case OID.uuid:
      return text({ kind: 'uuid' });
    case OID.date:
      return { ...text({ kind: 'date' }), form: 'date' };
    case OID.time:
      return text({ kind: 'time' });
    case OID.interval:
      return { ...text({ kind: 'interval' }), form: 'interval' };
    case OID.json:
    case OID.jsonb:
      return text({ kind: 'json' });
    default:
      return text({ kind: typtype === 'e' ? 'enum' : 'other' });
  }
}

/** Offset of the type modifiers of numeric and bpchar. A modifier of -1 means that the type has none. */
const MODIFIER_BASE = 4;

type Decimal = Extract<LogicalType, { kind: 'decimal' }>;

/** Unpacks the modifier of a numeric: 16 bits of precision above 11 bits of signed scale. */
function decimal(modifier: number): Decimal {
  if (modifier < MODIFIER_BASE) return { kind: 'decimal', precision: null, scale: null };
  const packed = modifier - MODIFIER_BASE;
  return { kind: 'decimal', precision: (packed >> 16) & 0xffff, scale: (packed << 21) >> 21 };
}

/**
 * Reports whether a double represents every value of a numeric exactly. It does not if the scale is negative or larger
 * than the precision.
 */
function isExact({ precision, scale }: Decimal): boolean {
  if (precision === null || scale === null) return false;
  return precision <= EXACT_DIGITS && scale >= 0 && scale <= precision;
}
