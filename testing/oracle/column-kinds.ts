import type { Random } from './random.ts';

/**
 * The form in which the terminal must store a value of a column type. The oracle implements docs/types.md independently
 * of the product.
 */
export type Rule = 'integer' | 'boolean' | 'decimal' | 'float' | 'text' | 'timestamptz' | 'timestamp' | 'blob';

/** A column type of the random schemas: its SQL, the rule for its values, and values as SQL literals. */
export interface Kind {
  sql: string;
  rule: Rule;
  /** Whether the type may be used in a key. */
  key?: boolean;
  literal(random: Random): string;
}

const quote = (text: string) => `'${text.replaceAll("'", "''")}'`;
const digits = (random: Random, count: number) =>
  Array.from({ length: count }, () => random.int(0, 9))
    .join('')
    .replace(/^0+(?=\d)/, '');
const sign = (random: Random) => (random.chance(0.5) ? '-' : '');
const WORDS = [
  '',
  'a',
  'Ä',
  '😀 family 👨‍👩‍👧',
  "O'Brien",
  'tab\tand\nline\r',
  '\\N',
  '"quoted"',
  '\u2028\u2029',
  'null',
  '0',
  '7.0',
  '1e3',
  ' padded ',
  '\u0001\u001f\u007f',
];

function text(random: Random): string {
  if (random.chance(0.03)) return random.pick(['long ', 'völlig ']).repeat(random.int(400, 3000)) + random.int(0, 1e9);
  return random.pick(WORDS) + (random.chance(0.7) ? String(random.int(0, 1e6)) : '');
}

const json = (random: Random) =>
  random.pick([
    '{"a": 9007199254740993, "a": 1.10}',
    '[1, 2.50, null, "x"]',
    '"\\ud83d\\ude00"',
    'null',
    '{"n": 1e400}',
    `{"k": ${random.int(0, 1e9)}}`,
  ]);

export const KINDS: readonly Kind[] = [
  { sql: 'smallint', rule: 'integer', key: true, literal: (r) => String(r.pick([-32768, 32767, r.int(-99, 99)])) },
  {
    sql: 'integer',
    rule: 'integer',
    key: true,
    literal: (r) => String(r.pick([-2147483648, 2147483647, r.int(-1e6, 1e6)])),
  },
  {
    sql: 'bigint',
    rule: 'integer',
    key: true,
    literal: (r) =>
      r.pick([
        "'-9223372036854775808'",
        "'9223372036854775807'",
        "'9007199254740993'",
        `'${sign(r)}${digits(r, r.int(1, 18))}'`,
      ]),
  },
  { sql: 'boolean', rule: 'boolean', literal: (r) => r.pick(['true', 'false']) },
  {
    sql: 'numeric(12,2)',
    rule: 'decimal',
    key: true,
    literal: (r) => `'${r.pick(['NaN', '0.00', '12.50', `${sign(r)}${digits(r, r.int(1, 10))}.${r.int(10, 99)}`])}'`,
  },
  { sql: 'numeric(15,0)', rule: 'decimal', key: true, literal: (r) => `'${sign(r)}${digits(r, r.int(1, 15))}'` },
  { sql: 'numeric(38,10)', rule: 'text', literal: (r) => `'${sign(r)}${digits(r, r.int(1, 28))}.${digits(r, 10)}'` },
  {
    sql: 'numeric',
    rule: 'text',
    literal: (r) =>
      `'${r.pick(['NaN', '1.10', '1.100', `${sign(r)}${digits(r, r.int(1, 60))}.${digits(r, r.int(1, 40))}`])}'`,
  },
  {
    sql: 'real',
    rule: 'float',
    literal: (r) => `'${r.pick(['NaN', 'Infinity', '-Infinity', '0.1', '3.4e38', '1e-40', String(r.next() * 1e6)])}'`,
  },
  {
    sql: 'double precision',
    rule: 'float',
    literal: (r) =>
      `'${r.pick(['NaN', 'Infinity', '-Infinity', '0.1', '1.7976931348623157e308', '5e-324', '123', String((r.next() - 0.5) * 1e12)])}'`,
  },
  { sql: 'text', rule: 'text', key: true, literal: (r) => quote(text(r)) },
  {
    sql: 'varchar(40)',
    rule: 'text',
    key: true,
    literal: (r) =>
      quote(
        text(r)
          .slice(0, 30)
          .replace(/[\ud800-\udfff]/g, ''),
      ),
  },
  { sql: 'char(8)', rule: 'text', literal: (r) => quote(String(r.int(0, 9999))) },
  { sql: 'uuid', rule: 'text', key: true, literal: (r) => `md5(${quote(String(r.next()))})::uuid` },
  { sql: 'inet', rule: 'text', literal: (r) => quote(`10.${r.int(0, 255)}.0.0/${r.int(16, 32)}`) },
  {
    sql: 'bytea',
    rule: 'blob',
    literal: (r) =>
      `'\\x${Array.from({ length: r.int(0, 20) }, () => r.int(0, 255).toString(16).padStart(2, '0')).join('')}'`,
  },
  { sql: 'json', rule: 'text', literal: (r) => quote(json(r)) },
  { sql: 'jsonb', rule: 'text', literal: (r) => quote(json(r).replace('1e400', '1e40')) },
  {
    sql: 'integer[]',
    rule: 'text',
    literal: (r) => quote(r.pick(['{}', '{1,NULL,3}', '{{1,2},{3,4}}', '[0:1]={5,6}'])),
  },
  { sql: 'text[]', rule: 'text', literal: (r) => quote(r.pick(['{}', '{a,"b c","d\\"e",NULL,"NULL"}', '{""}'])) },
  { sql: 'int4range', rule: 'text', literal: (r) => quote(r.pick(['empty', '[1,5)', '(,3]', '[2,)'])) },
  {
    sql: 'timestamptz',
    rule: 'timestamptz',
    literal: (r) =>
      quote(
        r.pick([
          'infinity',
          '-infinity',
          '1970-01-01 00:00:00+00',
          '2026-03-29 02:30:00.1+02',
          `20${r.int(10, 99)}-0${r.int(1, 9)}-1${r.int(0, 9)} 1${r.int(0, 9)}:0${r.int(0, 9)}:59.${r.int(1, 999999)}+05:30`,
        ]),
      ),
  },
  {
    sql: 'timestamp',
    rule: 'timestamp',
    literal: (r) =>
      quote(r.pick(['infinity', '2026-01-01 00:00:00', `2026-11-0${r.int(1, 9)} 23:59:59.${r.int(1, 999999)}`])),
  },
  {
    sql: 'date',
    rule: 'text',
    key: true,
    literal: (r) => quote(r.pick(['infinity', '2024-02-29', `19${r.int(10, 99)}-0${r.int(1, 9)}-1${r.int(0, 9)}`])),
  },
  {
    sql: 'time',
    rule: 'text',
    literal: (r) => quote(r.pick(['24:00:00', '00:00:00', `1${r.int(0, 9)}:30:00.${r.int(1, 999999)}`])),
  },
  { sql: 'timetz', rule: 'text', literal: (r) => quote(`1${r.int(0, 9)}:30:00.5+0${r.int(0, 9)}`) },
  {
    sql: 'interval',
    rule: 'text',
    literal: (r) =>
      quote(r.pick(['0', '1 year 2 mons -3 days 04:05:06.789', '-00:00:01', `${r.int(-999, 999)} hours`])),
  },
];
