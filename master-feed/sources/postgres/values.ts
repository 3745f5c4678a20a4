import { TableFault } from '../../source.ts';

/**
 * Converts the text of Postgres values, from pgoutput and COPY, to the JSON of the wire. It must never convert a value
 * through a floating-point number. It rejects a text of an unknown form with `source_unsupported`.
 */

/** The conversion from the text of a column's values to wire values. */
export type Form = 'number' | 'boolean' | 'real' | 'text' | 'blob' | 'timestamptz' | 'timestamp' | 'date' | 'interval';

/** Descriptions of each form for error messages. */
const EXPECTED: Record<Form, string> = {
  number: 'a decimal number',
  boolean: 't or f',
  real: 'a decimal number',
  text: 'text',
  blob: 'hexadecimal digits after \\x',
  timestamptz: 'an ISO 8601 timestamp in UTC',
  timestamp: 'an ISO 8601 timestamp',
  date: 'an ISO 8601 date',
  interval: 'an ISO 8601 interval',
};

/**
 * Number texts longer than this, in characters, travel as strings, because a JSON number may not represent them
 * exactly.
 */
const EXACT_LENGTH = 15;
const ZERO = 0x30;
const NINE = 0x39;
const MINUS = 0x2d;
const POINT = 0x2e;
/** A `0` stands for any digit. */
const TIME_SHAPE = Buffer.from('0000-00-00 00:00:00');
const TIME_LENGTH = TIME_SHAPE.length;

const DATE = /^(\d{4,7}-\d\d-\d\d( BC)?|-?infinity)$/;
const TIMESTAMP = /^(\d{4,6}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?( BC)?|-?infinity)$/;
const TIMESTAMPTZ = /^(\d{4,6}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?\+00( BC)?$/;
const INTERVAL = /^(P[-\d.YMWDTHS]+|-?infinity)$/;
const REAL = /^(-?\d+(\.\d+)?(e[-+]\d+)?|NaN|-?Infinity)$/;
const INFINITE = /^-?infinity$/;

/** A column and its table, for an error message. */
interface Origin {
  table: { id: number; name: string; columns: readonly { name: string; form: Form }[] };
  /** Index of the column in `columns`. */
  column: number;
}

/**
 * Returns the error for a value whose text does not have the form of its column. The error does not contain the value.
 */
export function unknownForm({ table, column }: Origin): TableFault {
  const { name, form } = table.columns[column] ?? { name: '?', form: 'text' };
  return new TableFault({
    id: table.id,
    table: table.name,
    reason: 'value_unknown',
    detail: `a value of the column ${name} of ${table.name} is not ${EXPECTED[form]}`,
    todo: 'Correct the value or change the type of the column, or exclude the table in relay.yaml.',
  });
}

/**
 * Returns the JSON of a value whose text is in `bytes` from `from` to `to`. Returns null if the text does not have the
 * form; the caller must then reject the value. Must be fast: the feed calls it for every value of every row.
 */
export function toJson(form: Form, bytes: Buffer, from: number, to: number): string | null {
  switch (form) {
    case 'number': {
      const text = bytes.toString('latin1', from, to);
      if (!isDecimal(bytes, from, to) && text !== 'NaN') return null;
      return text.length <= EXACT_LENGTH && endsInDigit(bytes, to) ? text : `"${text}"`;
    }
    case 'boolean': {
      const letter = to - from === 1 ? bytes[from] : null;
      return letter === 0x74 ? '1' : letter === 0x66 ? '0' : null;
    }
    case 'real': {
      const text = bytes.toString('latin1', from, to);
      if (!isDecimal(bytes, from, to) && !REAL.test(text)) return null;
      return endsInDigit(bytes, to) ? text : `"${text}"`;
    }
    case 'text':
      return quote(bytes, from, to);
    case 'blob':
      return blob(bytes, from, to);
    case 'timestamptz':
      return timestamptz(bytes, from, to);
    case 'timestamp': {
      const text = bytes.toString('latin1', from, to);
      return isPlainTime(bytes, from, to) || TIMESTAMP.test(text) ? `"${text.replace(' ', 'T')}"` : null;
    }
    case 'date':
      return matching(DATE, bytes, from, to);
    case 'interval':
      return matching(INTERVAL, bytes, from, to);
  }
}

/** Reports whether the text is digits with an optional sign and fraction. A loop is faster than a regular expression. */
function isDecimal(bytes: Buffer, from: number, to: number): boolean {
  const start = bytes[from] === MINUS ? from + 1 : from;
  const point = afterDigits(bytes, start, to);
  if (point === start) return false;
  if (point === to) return true;
  const end = afterDigits(bytes, point + 1, to);
  return bytes[point] === POINT && end > point + 1 && end === to;
}

/**
 * Reports whether the text is `YYYY-MM-DD hh:mm:ss`, with up to six fractional digits. Almost all timestamps are, so the
 * regular expressions run only for the others.
 */
function isPlainTime(bytes: Buffer, from: number, to: number): boolean {
  const end = from + TIME_LENGTH;
  if (to < end || to > end + 7) return false;
  for (let i = 0; i < TIME_LENGTH; i++) {
    const byte = bytes[from + i] as number;
    const separator = TIME_SHAPE[i] as number;
    if (separator === ZERO ? byte < ZERO || byte > NINE : byte !== separator) return false;
  }
  return to === end || (bytes[end] === POINT && to > end + 1 && afterDigits(bytes, end + 1, to) === to);
}

/** Returns the index of the first byte from `from` on that is not a digit, or `to`. */
function afterDigits(bytes: Buffer, from: number, to: number): number {
  let at = from;
  while (at < to && (bytes[at] as number) >= ZERO && (bytes[at] as number) <= NINE) at++;
  return at;
}

function endsInDigit(bytes: Buffer, to: number): boolean {
  const last = bytes[to - 1] ?? 0;
  return last >= ZERO && last <= NINE;
}

function matching(pattern: RegExp, bytes: Buffer, from: number, to: number): string | null {
  const text = bytes.toString('latin1', from, to);
  return pattern.test(text) ? `"${text}"` : null;
}

/**
 * Converts hexadecimal digits after `\x` to base64. `Buffer.from` stops at the first invalid character, so a short
 * result reveals one.
 */
function blob(bytes: Buffer, from: number, to: number): string | null {
  if (to - from < 2 || (to - from) % 2 !== 0 || bytes[from] !== 0x5c || bytes[from + 1] !== 0x78) return null;
  const decoded = Buffer.from(bytes.toString('latin1', from + 2, to), 'hex');
  return decoded.length === (to - from - 2) / 2 ? `"${decoded.toString('base64')}"` : null;
}

/** `2026-11-23 08:24:35.1+00` becomes `2026-11-23T08:24:35.100000Z`. With this fixed width, the texts sort by time. */
function timestamptz(bytes: Buffer, from: number, to: number): string | null {
  const text = bytes.toString('latin1', from, to);
  if (text.endsWith('+00') && isPlainTime(bytes, from, to - 3)) {
    const fraction = text.slice(TIME_LENGTH + 1, -3).padEnd(6, '0');
    return `"${text.slice(0, 10)}T${text.slice(11, TIME_LENGTH)}.${fraction}Z"`;
  }
  const parts = TIMESTAMPTZ.exec(text);
  if (parts === null) return INFINITE.test(text) ? `"${text}"` : null;
  const [, date, time, fraction = '', era = ''] = parts;
  return `"${date}T${time}.${fraction.padEnd(6, '0')}Z${era}"`;
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
