import { createRequire } from 'node:module';
import type BetterSqlite3 from 'better-sqlite3';
import pg from 'pg';
import type { Rule } from './column-kinds.ts';

/**
 * The oracle: compares a table of the master with the same table of a replica, value by value.
 *
 * It reads both databases with their own drivers and must not use the product's conversion of values, so that a mistake
 * there shows as a difference.
 */

const Sqlite = createRequire(import.meta.url)('better-sqlite3') as typeof BetterSqlite3;

export interface OracleColumn {
  name: string;
  rule: Rule;
}

/**
 * Connects to the master. The client returns every value as the master's text, in the styles that docs/types.md names.
 */
export async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    options: '-c datestyle=ISO -c timezone=UTC -c intervalstyle=iso_8601 -c extra_float_digits=1 -c bytea_output=hex',
    types: { getTypeParser: () => (value: string) => value } as pg.CustomTypesConfig,
  });
  // When the server stops, the next statement throws, so this event needs no handling.
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

const ident = (name: string) => `"${name.replaceAll('"', '""')}"`;

function expected(text: string | null, rule: Rule): string {
  if (text === null) return 'null';
  switch (rule) {
    case 'integer':
      return `integer ${text}`;
    case 'boolean':
      return `integer ${text === 't' ? 1 : 0}`;
    case 'decimal':
      return text === 'NaN' ? 'text NaN' : `number ${Number(text)}`;
    case 'float':
      return /^(NaN|-?Infinity)$/.test(text) ? `text ${text}` : `number ${Number(text) + 0}`;
    case 'blob':
      return `blob ${text.slice(2)}`;
    case 'timestamptz': {
      if (text.endsWith('infinity')) return `text ${text}`;
      const [, date, time, fraction = '', era = ''] = /^(\S+) (\d\d:\d\d:\d\d)(?:\.(\d+))?\+00( BC)?$/.exec(text) ?? [];
      return `text ${date}T${time}.${fraction.padEnd(6, '0')}Z${era}`;
    }
    case 'timestamp':
      return `text ${text.replace(' ', 'T')}`;
    case 'text':
      return `text ${text}`;
  }
}

function found(value: unknown, rule: Rule): string {
  if (value === null) return 'null';
  if (typeof value === 'bigint')
    return rule === 'decimal' || rule === 'float' ? `number ${Number(value)}` : `integer ${value}`;
  if (typeof value === 'number') return `number ${value}`;
  if (Buffer.isBuffer(value)) return `blob ${value.toString('hex')}`;
  return `text ${String(value)}`;
}

/**
 * Returns every difference between a table of the master and the same table of a replica, or an empty list. With
 * `where`, only the master's rows that fulfil this condition count.
 */
export async function differences(
  master: pg.Client,
  replicaFile: string,
  table: string,
  columns: OracleColumn[],
  where = 'true',
): Promise<string[]> {
  const names = columns.map((column) => ident(column.name)).join(', ');
  const answer = await master.query({ text: `SELECT ${names} FROM ${ident(table)} WHERE ${where}`, rowMode: 'array' });
  const wanted = (answer.rows as (string | null)[][])
    .map((row) => columns.map((column, i) => expected(row[i] ?? null, column.rule)).join('\u0000'))
    .sort();
  const db = new Sqlite(replicaFile, { readonly: true });
  try {
    const rows = db
      .prepare(`SELECT ${names} FROM ${ident(table)}`)
      .safeIntegers()
      .raw()
      .all() as unknown[][];
    const here = rows.map((row) => columns.map((column, i) => found(row[i], column.rule)).join('\u0000')).sort();
    return compare(table, wanted, here);
  } finally {
    db.close();
  }
}

function compare(table: string, wanted: string[], here: string[]): string[] {
  const out: string[] = [];
  let i = 0;
  let j = 0;
  while (i < wanted.length || j < here.length) {
    const a = wanted[i];
    const b = here[j];
    if (a === b) {
      i++;
      j++;
    } else if (b === undefined || (a !== undefined && a < b)) {
      out.push(`${table}: missing at the terminal: ${shown(a ?? '')}`);
      i++;
    } else {
      out.push(`${table}: not at the master: ${shown(b)}`);
      j++;
    }
    if (out.length >= 10) break;
  }
  return out;
}

const shown = (row: string) => JSON.stringify(row.replaceAll('\u0000', ' | ')).slice(0, 600);
