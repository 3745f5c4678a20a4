import type { ColumnType } from '@tidemark/protocol/schema';

/** How a column's text becomes a value of the wire. */
export type Form = 'number' | 'boolean' | 'real' | 'text' | 'blob' | 'timestamptz' | 'timestamp';

/** A type of the master as docs/types.md maps it. */
export interface Mapped {
  type: ColumnType;
  form: Form;
}

const OID = {
  bool: 16,
  bytea: 17,
  int8: 20,
  int2: 21,
  int4: 23,
  oid: 26,
  float4: 700,
  float8: 701,
  timestamp: 1114,
  timestamptz: 1184,
  numeric: 1700,
} as const;

/** Longest precision whose every value a double holds. */
const EXACT_DIGITS = 15;

/** Maps a base type (a domain's, if it is one) by its OID and modifier. What the table does not name is text. */
export function mapType(oid: number, modifier: number): Mapped {
  switch (oid) {
    case OID.int2:
    case OID.int4:
    case OID.int8:
    case OID.oid:
      return { type: 'integer', form: 'number' };
    case OID.bool:
      return { type: 'integer', form: 'boolean' };
    case OID.numeric: {
      return isExact(modifier) ? { type: 'numeric', form: 'number' } : { type: 'text', form: 'text' };
    }
    case OID.float4:
    case OID.float8:
      return { type: 'real', form: 'real' };
    case OID.bytea:
      return { type: 'blob', form: 'blob' };
    case OID.timestamptz:
      return { type: 'text', form: 'timestamptz' };
    case OID.timestamp:
      return { type: 'text', form: 'timestamp' };
    default:
      return { type: 'text', form: 'text' };
  }
}

/** Whether a double holds each value of a numeric. A scale that is negative or beyond the precision reaches where none does. */
function isExact(modifier: number): boolean {
  if (modifier < 4) return false;
  const precision = ((modifier - 4) >> 16) & 0xffff;
  const scale = ((modifier - 4) << 21) >> 21;
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
