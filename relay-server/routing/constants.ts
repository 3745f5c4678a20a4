import type { LogicalType } from '@tidemark/protocol/logical-type';
import type { ColumnSchema } from '@tidemark/protocol/schema';
import { logicalTypeOf } from './undeclared-types.ts';

/**
 * Defines how filters compare values. Constants of relay.yaml and attributes of terminals are text. Each value of a
 * column has one canonical text, and two values are equal if their texts are equal. Two implementations exist, which
 * must always select the same rows: {@link Comparison.textOf} compares wire values to route changes, and
 * {@link Comparison.sql} with {@link Comparison.stored} compares values in SQLite for copies.
 *
 * Comparisons read a column's logical type and storage class, never the master's type name.
 */

/** The comparison for the values of one column. */
export interface Comparison {
  /** Returns the canonical text of a value. */
  textOf(value: string | number): string;
  /** Returns the canonical text of a constant, or null if the column has no such value. */
  constant(text: string): string | null;
  /** Describes valid constants in error messages. */
  written: string;
  /** Returns the result of {@link sql} for values with this canonical text, or null if no value has it. */
  stored(text: string): string | number | bigint | null;
  /** Returns the SQL expression to compare with {@link stored}. `name` is the quoted name of the column. */
  sql(name: string): string;
}

/** Returns the comparison for a column, or null if its values cannot be compared exactly (floating point, binary). */
export function comparisonOf(column: ColumnSchema): Comparison | null {
  return column.type === 'real' || column.type === 'blob' ? null : comparisonFor(logicalTypeOf(column), column.type);
}

function comparisonFor(logical: LogicalType, storage: 'integer' | 'numeric' | 'text'): Comparison | null {
  switch (logical.kind) {
    case 'boolean':
      return storage === 'integer' ? BOOLEAN : VERBATIM;
    case 'integer':
      // Integers outside the range of 64 signed bits are stored as decimal text.
      return storage === 'integer' ? integer(logical.bits, logical.unsigned === true) : decimal(0, storage);
    case 'decimal':
      return storage === 'integer' ? integer(64, false) : decimal(logical.scale, storage);
    case 'character':
      return padded(logical.length ?? Number.POSITIVE_INFINITY);
    case 'uuid':
      return UUIDS;
    case 'date':
      return DATES;
    case 'time':
      return TIMES;
    case 'timestamp':
      return TIMESTAMPS;
    case 'timestamptz':
      return INSTANTS;
    case 'float':
    case 'binary':
      return null;
    case 'text':
    case 'enum':
    case 'interval':
    case 'json':
    case 'other':
      return VERBATIM;
  }
}

const columnItself = (name: string) => name;

const BOOLEAN: Comparison = {
  textOf: (value) => (value === 1 ? 'true' : 'false'),
  constant: (text) => (text === 'true' || text === 'false' ? text : null),
  written: 'true or false',
  stored: (text) => (text === 'true' ? 1n : text === 'false' ? 0n : null),
  sql: columnItself,
};

const INTEGER = /^(0|-?[1-9]\d{0,18})$/;

function integer(bits: number, unsigned: boolean): Comparison {
  const parsed = (text: string) => (INTEGER.test(text) ? BigInt(text) : null);
  const fits = (value: bigint, width: number) => BigInt.asIntN(width, value) === value;
  return {
    textOf: String,
    constant: (text) => {
      const value = parsed(text);
      const held = value !== null && (unsigned ? BigInt.asUintN(bits, value) === value : fits(value, bits));
      return held ? value.toString() : null;
    },
    written: 'an integer that the column can hold, such as 7',
    stored: (text) => {
      const value = parsed(text);
      return value !== null && fits(value, 64) ? value : null;
    },
    sql: columnItself,
  };
}

const DECIMAL = /^-?(?:0|[1-9]\d*)(?:\.(\d+))?$/;
const NOT_A_NUMBER = /^(?:NaN|-?Infinity)$/;

/**
 * Returns the comparison for decimal numbers. `scale` is null if unlimited. A column with the storage class `text`
 * contains the master's digits.
 */
function decimal(scale: number | null, storage: 'numeric' | 'text'): Comparison {
  const asNumber = storage === 'numeric';
  const places = scale === null ? Number.POSITIVE_INFINITY : Math.max(0, scale);
  return {
    textOf: (value) => shortest(typeof value === 'number' ? digitsOf(value) : value),
    constant: (text) => {
      if (NOT_A_NUMBER.test(text)) return text;
      const short = shortDecimal(text);
      return short !== null && (DECIMAL.exec(short)?.[1] ?? '').length <= places ? short : null;
    },
    written: `a number${places < Number.POSITIVE_INFINITY ? ` of ${places} decimals or fewer` : ''}, such as ${places === 0 ? '10' : '10.5'}`,
    stored: (text) => {
      if (NOT_A_NUMBER.test(text)) return text;
      if (shortDecimal(text) !== text) return null;
      if (!asNumber) return text;
      return digitsOf(Number(text)) === text ? Number(text) : null;
    },
    sql: asNumber
      ? columnItself
      : (name) => `CASE WHEN instr(${name}, '.') THEN rtrim(rtrim(${name}, '0'), '.') ELSE ${name} END`,
  };
}

/**
 * Returns the canonical text of a decimal number, without trailing zeros after the point. Returns null if the text is
 * not a decimal number.
 */
export function shortDecimal(text: string): string | null {
  return DECIMAL.test(text) ? shortest(text) : null;
}

/** Removes trailing zeros after the point. */
function shortest(digits: string): string {
  if (!digits.includes('.')) return digits === '-0' ? '0' : digits;
  const short = withoutTrailing(withoutTrailing(digits, '0'), '.');
  return short === '-0' ? '0' : short;
}

/** Returns the decimal text of a number, without an exponent. */
function digitsOf(value: number): string {
  const [digits = '', exponent] = String(value).split('e');
  if (exponent === undefined) return digits;
  const sign = digits.startsWith('-') ? '-' : '';
  const figures = digits.replace(/[-.]/g, '');
  const point = Number(exponent) + 1;
  return point > 0 ? sign + figures.padEnd(point, '0') : `${sign}0.${'0'.repeat(-point)}${figures}`;
}

function withoutTrailing(text: string, character: string): string {
  let end = text.length;
  while (end > 0 && text[end - 1] === character) end--;
  return text.slice(0, end);
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const DAY = /^(\d{4,})-(\d\d)-(\d\d)(?: BC)?$/;
const TIME = /^(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{0,5}[1-9])?$|^24:00:00$/;
const FULL_TIME = /^(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}Z$/;

/**
 * Returns the comparison for values that have exactly one text. `fits` reports whether a text is valid for the column.
 */
function exactText(fits: (text: string) => boolean, written: string): Comparison {
  return {
    textOf: String,
    constant: (text) => (fits(text) ? text : null),
    written,
    stored: (text) => text,
    sql: columnItself,
  };
}

/**
 * Returns the comparison for space-padded text. The master ignores trailing spaces in comparisons, so the canonical
 * text has none.
 */
function padded(length: number): Comparison {
  return {
    textOf: (value) => withoutTrailing(String(value), ' '),
    constant: (text) => {
      const short = withoutTrailing(text, ' ');
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
  // The calendar repeats every 400 years, so use an equivalent year. 1 BC, written 0001, is a leap year.
  const same = 2000 + ((text.endsWith(' BC') ? 1 - (year % 400) + 400 : year) % 400);
  return day <= new Date(Date.UTC(same, month, 0)).getUTCDate();
}

const timestamp = (time: RegExp) => (text: string) => {
  if (isInfinite(text)) return true;
  const at = text.indexOf('T');
  const era = text.endsWith(' BC') ? ' BC' : '';
  return at > 0 && isDay(text.slice(0, at) + era) && time.test(text.slice(at + 1, text.length - era.length));
};

const VERBATIM = exactText(() => true, 'a text');
const UUIDS = exactText(
  (text) => UUID.test(text),
  'a UUID in lower case, such as a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
);
const DATES = exactText(isDay, 'a date such as 2026-01-31');
const TIMES = exactText((text) => TIME.test(text), 'a time such as 08:24:35 or 08:24:35.1');
const TIMESTAMPS = exactText(
  timestamp(TIME),
  'a timestamp as terminals hold it, such as 2026-01-31T08:24:35 or 2026-01-31T08:24:35.1',
);
const INSTANTS = exactText(
  timestamp(FULL_TIME),
  'a timestamp as terminals hold it, in UTC, such as 2026-01-31T08:24:35.100000Z',
);
