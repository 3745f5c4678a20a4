import type { LogicalType } from '@tidemark/protocol/logical-type';
import type { ColumnType } from '@tidemark/protocol/schema';

/** How a column's text becomes a value of the wire. */
export type Form = 'number' | 'boolean' | 'real' | 'text' | 'blob' | 'timestamptz' | 'timestamp';

/** A type of the master as docs/types.md maps it. */
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

/** The longest precision whose every value a double holds. */
const EXACT_DIGITS = 15;

const text = (logical: LogicalType): Mapped => ({ type: 'text', logical, form: 'text' });

/**
 * Maps a base type (a domain's, for a domain) by its OID, modifier and kind (`e` enum, as pg_type.typtype has it). Types
 * that the table of docs/types.md does not name arrive as text.
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
      return text({ kind: 'date' });
    case OID.time:
      return text({ kind: 'time' });
    case OID.interval:
      return text({ kind: 'interval' });
    case OID.json:
    case OID.jsonb:
      return text({ kind: 'json' });
    default:
      return text({ kind: typtype === 'e' ? 'enum' : 'other' });
  }
}

/** Type modifiers of numeric and bpchar count from here; -1: none was given. */
const MODIFIER_BASE = 4;

type Decimal = Extract<LogicalType, { kind: 'decimal' }>;

/** Of a numeric's modifier: 16 bits of precision above 11 bits of scale, which has a sign. */
function decimal(modifier: number): Decimal {
  if (modifier < MODIFIER_BASE) return { kind: 'decimal', precision: null, scale: null };
  const packed = modifier - MODIFIER_BASE;
  return { kind: 'decimal', precision: (packed >> 16) & 0xffff, scale: (packed << 21) >> 21 };
}

/** Whether a double holds each value of a numeric. A scale that is negative or beyond the precision reaches values that it does not. */
function isExact({ precision, scale }: Decimal): boolean {
  if (precision === null || scale === null) return false;
  return precision <= EXACT_DIGITS && scale >= 0 && scale <= precision;
}

/** Sign, point and 15 digits: what is longer may not be exact as a number. */
const EXACT_LENGTH = 15;
const ZERO = 0x30;
const NINE = 0x39;

/** The JSON of a value whose text stands in `bytes` from `from` to `to`. */
export function toJson(form: Form, bytes: Buffer, from: number, to: number): string {
  switch (form) {
    case 'number': {
      const text = bytes.toString('latin1', from, to);
      const last = bytes[to - 1] ?? 0;
      return to - from <= EXACT_LENGTH && last >= ZERO && last <= NINE ? text : `"${text}"`;
    }
    case 'boolean':
      return bytes[from] === 0x74 ? '1' : '0';
    case 'real': {
      const text = bytes.toString('latin1', from, to);
      const last = bytes[to - 1] ?? 0;
      return last >= ZERO && last <= NINE ? text : `"${text}"`;
    }
    case 'text':
      return quote(bytes, from, to);
    case 'blob':
      return `"${Buffer.from(bytes.toString('latin1', from + 2, to), 'hex').toString('base64')}"`;
    case 'timestamptz':
      return `"${timestamptz(bytes.toString('latin1', from, to))}"`;
    case 'timestamp':
      return `"${bytes.toString('latin1', from, to).replace(' ', 'T')}"`;
  }
}

/** `2026-11-23 08:24:35.1+00` as `2026-11-23T08:24:35.100000Z`: fixed width, so that text order is time order. */
function timestamptz(text: string): string {
  const zone = text.indexOf('+');
  if (zone === -1) return text;
  const space = text.indexOf(' ');
  const point = text.indexOf('.');
  const whole = text.slice(space + 1, point === -1 ? zone : point);
  const fraction = point === -1 ? '000000' : text.slice(point + 1, zone).padEnd(6, '0');
  const era = text.endsWith(' BC') ? ' BC' : '';
  return `${text.slice(0, space)}T${whole}.${fraction}Z${era}`;
}

/** JSON.stringify costs more than all else here; text that needs no escape is only quoted. */
function quote(bytes: Buffer, from: number, to: number): string {
  const text = bytes.toString('utf8', from, to);
  for (let i = from; i < to; i++) {
    const byte = bytes[i] as number;
    if (byte < 0x20 || byte === 0x22 || byte === 0x5c) return JSON.stringify(text);
  }
  return `"${text}"`;
}
