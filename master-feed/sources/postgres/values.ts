/**
 * Converts the text of Postgres values, from pgoutput and COPY, to the JSON of the wire. It must never convert a value
 * through a floating-point number.
 */

/** The conversion from the text of a column's values to wire values. */
export type Form = 'number' | 'boolean' | 'real' | 'text' | 'blob' | 'timestamptz' | 'timestamp';

/**
 * Number texts longer than this, in characters, travel as strings, because a JSON number may not represent them
 * exactly.
 */
const EXACT_LENGTH = 15;
const ZERO = 0x30;
const NINE = 0x39;

/**
 * Returns the JSON of a value whose text is in `bytes` from `from` to `to`. Must be fast: the feed calls it for every
 * value of every row.
 */
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

/** `2026-11-23 08:24:35.1+00` becomes `2026-11-23T08:24:35.100000Z`. With this fixed width, the texts sort by time. */
function timestamptz(text: string): string {
  const zone = text.indexOf('+');
  if (zone === -1) return text;
  const space = text.indexOf(' ');
  const point = text.indexOf('.');
  const time = text.slice(space + 1, point === -1 ? zone : point);
  const fraction = point === -1 ? '000000' : text.slice(point + 1, zone).padEnd(6, '0');
  const era = text.endsWith(' BC') ? ' BC' : '';
  return `${text.slice(0, space)}T${time}.${fraction}Z${era}`;
}

/**
 * Returns the JSON text of a string. Calls JSON.stringify only for text with escapes, because it would cost more than
 * all other conversions together.
 */
function quote(bytes: Buffer, from: number, to: number): string {
  const text = bytes.toString('utf8', from, to);
  for (let i = from; i < to; i++) {
    const byte = bytes[i] as number;
    if (byte < 0x20 || byte === 0x22 || byte === 0x5c) return JSON.stringify(text);
  }
  return `"${text}"`;
}
