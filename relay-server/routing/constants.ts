import type { ColumnSchema } from '@tidemark/protocol/schema';

/** How the values of a column are compared with the constants of relay.yaml and with attributes: both are texts. */
export interface Comparison {
  /** The text that a value is known by. */
  textOf(value: string | number): string;
  /** The text that a constant stands for; null: no value of the column is written so. */
  constant(text: string): string | null;
  /** How constants are written, for messages. */
  written: string;
  /** What {@link sql} gives for the values of a text; null: no value has this text. */
  stored(text: string): string | number | bigint | null;
  /** SQL of what is compared with {@link stored}; `name`: the column, quoted. */
  sql(name: string): string;
}

/** Null: values of this type cannot be compared exactly. */
export function comparisonOf(column: ColumnSchema): Comparison | null {
  switch (column.type) {
    case 'real':
    case 'blob':
      return null;
    case 'integer':
      return column.source === 'boolean' ? BOOLEAN : integer(column.source);
    case 'numeric':
      return decimal(column.source, true);
    case 'text':
      return ofText(column.source);
  }
}

const plainSql = (name: string) => name;

const BOOLEAN: Comparison = {
  textOf: (value) => (value === 1 ? 'true' : 'false'),
  constant: (text) => (text === 'true' || text === 'false' ? text : null),
  written: 'true or false',
  stored: (text) => (text === 'true' ? 1n : text === 'false' ? 0n : null),
  sql: plainSql,
};

const INTEGER = /^(0|-?[1-9]\d{0,18})$/;
const BITS: Record<string, number> = { smallint: 16, integer: 32 };

function integer(source: string): Comparison {
  const held = (text: string, bits: number) => {
    const value = INTEGER.test(text) ? BigInt(text) : null;
    return value !== null && BigInt.asIntN(bits, value) === value ? value : null;
  };
  return {
    textOf: String,
    constant: (text) => held(text, BITS[source] ?? 64)?.toString() ?? null,
    written: 'an integer that the column can hold, such as 7',
    stored: (text) => held(text, 64),
    sql: plainSql,
  };
}

const NUMERIC = /^numeric(?:\(\d+,(-?\d+)\))?$/;
const DECIMAL = /^-?(?:0|[1-9]\d*)(?:\.(\d+))?$/;
const NO_NUMBER = /^(?:NaN|-?Infinity)$/;

/** `asNumber`: the column keeps numbers; else it keeps the master's digits. */
function decimal(source: string, asNumber: boolean): Comparison {
  const [, scale] = NUMERIC.exec(source) ?? [];
  const places = scale === undefined ? Number.POSITIVE_INFINITY : Math.max(0, Number(scale));
  return {
    textOf: (value) => shortest(typeof value === 'number' ? digitsOf(value) : value),
    constant: (text) => {
      if (NO_NUMBER.test(text)) return text;
      const short = shortDecimal(text);
      return short !== null && (DECIMAL.exec(short)?.[1] ?? '').length <= places ? short : null;
    },
    written: `a number${places < Number.POSITIVE_INFINITY ? ` of ${places} decimals or fewer` : ''}, such as ${places === 0 ? '10' : '10.5'}`,
    stored: (text) => {
      if (NO_NUMBER.test(text)) return text;
      if (shortDecimal(text) !== text) return null;
      if (!asNumber) return text;
      return digitsOf(Number(text)) === text ? Number(text) : null;
    },
    sql: asNumber
      ? plainSql
      : (name) => `CASE WHEN instr(${name}, '.') THEN rtrim(rtrim(${name}, '0'), '.') ELSE ${name} END`,
  };
}

/** How a decimal column is compared with what is written as this; null: it is no decimal number. */
export function shortDecimal(text: string): string | null {
  return DECIMAL.test(text) ? shortest(text) : null;
}

/** Without trailing zeros behind the point. */
function shortest(digits: string): string {
  if (!digits.includes('.')) return digits === '-0' ? '0' : digits;
  const short = without(without(digits, '0'), '.');
  return short === '-0' ? '0' : short;
}

/** A number's digits, never with an exponent. */
function digitsOf(value: number): string {
  const [digits = '', exponent] = String(value).split('e');
  if (exponent === undefined) return digits;
  const sign = digits.startsWith('-') ? '-' : '';
  const figures = digits.replace(/[-.]/g, '');
  const point = Number(exponent) + 1;
  return point > 0 ? sign + figures.padEnd(point, '0') : `${sign}0.${'0'.repeat(-point)}${figures}`;
}

function without(text: string, last: string): string {
  let end = text.length;
  while (end > 0 && text[end - 1] === last) end--;
  return text.slice(0, end);
}

const CHARACTER = /^(?:character\((\d+)\)|bpchar)$/;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const DAY = /^(\d{4,})-(\d\d)-(\d\d)(?: BC)?$/;
const TIME = /^(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{0,5}[1-9])?$|^24:00:00$/;
const FULL_TIME = /^(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}Z$/;

function ofText(source: string): Comparison {
  const [character, length] = CHARACTER.exec(source) ?? [];
  if (character !== undefined) return padded(length === undefined ? Number.POSITIVE_INFINITY : Number(length));
  if (NUMERIC.test(source)) return decimal(source, false);
  if (source === 'uuid')
    return asWritten((text) => UUID.test(text), 'a UUID in lower case, such as a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11');
  if (source === 'date') return asWritten(isDay, 'a date such as 2026-01-31');
  if (/^time(\(\d\))? without time zone$/.test(source))
    return asWritten((text) => TIME.test(text), 'a time such as 08:24:35 or 08:24:35.1');
  if (/^timestamp(\(\d\))? without time zone$/.test(source))
    return asWritten(moment(TIME), 'it as terminals have it, such as 2026-01-31T08:24:35 or 2026-01-31T08:24:35.1');
  if (/^timestamp(\(\d\))? with time zone$/.test(source))
    return asWritten(moment(FULL_TIME), 'it as terminals have it, in UTC, such as 2026-01-31T08:24:35.100000Z');
  return asWritten(() => true, 'a text');
}

function asWritten(fits: (text: string) => boolean, written: string): Comparison {
  return {
    textOf: String,
    constant: (text) => (fits(text) ? text : null),
    written,
    stored: (text) => text,
    sql: plainSql,
  };
}

/** char(n), whose trailing blanks mean nothing at the master either. */
function padded(length: number): Comparison {
  return {
    textOf: (value) => without(String(value), ' '),
    constant: (text) => {
      const short = without(text, ' ');
      return [...short].length <= length ? short : null;
    },
    written: `a text of ${length} characters or fewer`,
    stored: (text) => (text.endsWith(' ') ? null : text),
    sql: (name) => `rtrim(${name}, ' ')`,
  };
}

const isInfinite = (text: string) => text === 'infinity' || text === '-infinity';

function isDay(text: string): boolean {
  if (isInfinite(text)) return true;
  const [, year, month, day] = (DAY.exec(text) ?? []).map(Number);
  if (year === undefined || month === undefined || day === undefined || year === 0) return false;
  if (month < 1 || month > 12 || day < 1) return false;
  // Every 400 years the calendar is the same; 1 BC, written 0001, is a leap year.
  const same = 2000 + ((text.endsWith(' BC') ? 1 - (year % 400) + 400 : year) % 400);
  return day <= new Date(Date.UTC(same, month, 0)).getUTCDate();
}

const moment = (time: RegExp) => (text: string) => {
  if (isInfinite(text)) return true;
  const at = text.indexOf('T');
  const era = text.endsWith(' BC') ? ' BC' : '';
  return at > 0 && isDay(text.slice(0, at) + era) && time.test(text.slice(at + 1, text.length - era.length));
};
