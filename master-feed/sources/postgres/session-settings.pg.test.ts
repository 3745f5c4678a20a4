import { connect } from '@tidemark/testing/oracle';
import { type EmbeddedPostgres, startPostgres } from '@tidemark/testing/postgres/embedded';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { Recorder } from '../../contract/recorder.ts';
import type { Flow, SourceTable } from '../../source.ts';
import type { PostgresTable } from './catalog.ts';
import { connect as connectFeed } from './connection.ts';
import { PostgresSource } from './postgres-source.ts';
import { RowDecoder } from './row-decoder.ts';
import { Stream } from './stream.ts';
import { copyRows } from './table-copy.ts';

/**
 * Settings of the server, the database, the role or the address can change the text of values. The feed must send the
 * same values nevertheless.
 */

const HOSTILE: Record<string, string> = {
  datestyle: 'SQL, DMY',
  intervalstyle: 'postgres_verbose',
  timezone: 'Europe/Berlin',
  bytea_output: 'escape',
  extra_float_digits: '-15',
  lc_monetary: 'C.UTF-8',
  client_encoding: 'LATIN1',
  search_path: 'pg_catalog',
  quote_all_identifiers: 'on',
  row_security: 'on',
  standard_conforming_strings: 'off',
  client_min_messages: 'error',
  default_transaction_read_only: 'on',
  default_transaction_isolation: 'serializable',
  statement_timeout: '1h',
  lock_timeout: '1h',
  idle_in_transaction_session_timeout: '1h',
  idle_session_timeout: '1h',
  transaction_timeout: '1h',
};
const OPTIONS = Object.entries(HOSTILE)
  .map(([name, value]) => `-c ${name}=${value.replaceAll(' ', '\\ ')}`)
  .join(' ');
const SET = Object.entries(HOSTILE).map(([name, value]) => {
  const list = value.split(', ').map((part) => `'${part}'`);
  return `${name} = ${list.join(', ')}`;
});

const ROW = `
  (1, '2026-07-01 12:00:00Z', '2026-07-01 12:00:00', '2026-07-01', interval '1 year 2 mons -3 days 04:05:06.5',
   '\\x00ff5c', 0.1::float4 + 0.2::float4, 0.1::float8 + 0.2::float8, 1234.5::money, 'item'::regclass, E'ü\\\\"\\'',
   ARRAY['2026-07-01 12:00:00Z'::timestamptz], '\\xff')`;
const EXPECTED = [
  1,
  '2026-07-01T12:00:00.000000Z',
  '2026-07-01T12:00:00',
  '2026-07-01',
  'P1Y2M-3DT4H5M6.5S',
  'AP9c',
  0.3,
  0.30000000000000004,
  '$1,234.50',
  'item',
  'ü\\"\'',
  '{"2026-07-01 12:00:00+00"}',
  '/w==',
];

let postgres: EmbeddedPostgres;
beforeAll(async () => {
  postgres = await startPostgres({
    settings: {
      timezone: 'Europe/Berlin',
      bytea_output: 'escape',
      datestyle: 'SQL, DMY',
      intervalstyle: 'postgres_verbose',
    },
  });
});
afterAll(async () => {
  await postgres?.stop();
});
afterEach(() => vi.unstubAllEnvs());

let databases = 0;
/** Creates a database with hostile settings in one place. Returns the address for the feed. */
async function prepare(place: 'server' | 'database' | 'role' | 'address' | 'environment'): Promise<URL> {
  const name = `settings${++databases}`;
  const url = new URL(await postgres.createDatabase(name));
  const admin = await connect(url.href);
  await admin.query(`CREATE ROLE ${name} LOGIN SUPERUSER PASSWORD 'secret'`);
  await admin.query(`CREATE TABLE item (id int PRIMARY KEY, tz timestamptz, ts timestamp, d date, i interval, raw bytea, r real, f float8, m money,
    rel regclass, t text, tzs timestamptz[], raw2 bytea)`);
  await admin.query(`INSERT INTO item VALUES ${ROW}`);
  if (place === 'database') for (const setting of SET) await admin.query(`ALTER DATABASE ${name} SET ${setting}`);
  if (place === 'role') for (const setting of SET) await admin.query(`ALTER ROLE ${name} SET ${setting}`);
  await admin.end();
  url.username = name;
  url.password = 'secret';
  if (place === 'address') url.searchParams.set('options', OPTIONS);
  if (place === 'environment') vi.stubEnv('PGOPTIONS', OPTIONS);
  return url;
}

const ALL = { listed: null, held: new Set<string>() };
const NO_LIMIT: Flow = { full: false, room: async () => undefined };

/** Takes a base copy, which creates the slot. */
async function baseCopy(url: URL, feed: string): Promise<{ position: string; tables: SourceTable[]; rows: string[] }> {
  const source = new PostgresSource(url.href, feed, () => undefined);
  try {
    await source.open();
    const described = await source.describe(ALL);
    await source.publish(described.tables as PostgresTable[]);
    await source.obstacle({ position: null, head: 0 as never });
    const copy = await source.copyTables('base');
    const { tables } = await copy.describe(ALL);
    const rows: string[] = [];
    for (const table of tables) await copy.readRows(table, NO_LIMIT, (json) => rows.push(json));
    await copy.close();
    return { position: copy.position, tables, rows };
  } finally {
    await source.close();
  }
}

/** Inserts the same row with another id. */
async function insertSecond(url: URL): Promise<void> {
  const admin = new URL(postgres.url);
  admin.pathname = url.pathname;
  const writer = await connect(admin.href);
  await writer.query(
    'SET search_path = public; SET datestyle = ISO; SET standard_conforming_strings = on; SET default_transaction_read_only = off',
  );
  await writer.query(`INSERT INTO item VALUES ${ROW.replace('(1,', '(2,')}`);
  await writer.end();
}

/** Reads the row from a copy, and the same row with another id from the log. */
async function readBoth(url: URL): Promise<{ copied: unknown[]; streamed: unknown[] }> {
  const feed = url.pathname.slice(1);
  const { position, tables, rows } = await baseCopy(url, feed);
  await insertSecond(url);
  const source = new PostgresSource(url.href, feed, () => undefined);
  try {
    await source.open();
    const sink = new Recorder();
    const numbered = tables.map((table, i) => ({ number: i + 1, table }));
    const reader = await source.openLog(position, numbered, new Set(), sink);
    await sink.until(reader, () => sink.transactions.length > 0);
    const [change = ''] = sink.transactions.flatMap(({ changes }) => changes);
    return { copied: JSON.parse(rows[0] ?? '[]'), streamed: JSON.parse(change.replace(/^\S+ \S+ /, '')) };
  } finally {
    await source.close();
  }
}

test.each(['server', 'database', 'role', 'address', 'environment'] as const)(
  'sends the same values whatever the settings of the %s',
  async (place) => {
    const { copied, streamed } = await readBoth(await prepare(place));
    expect(copied).toEqual(EXPECTED);
    expect(streamed).toEqual([2, ...EXPECTED.slice(1)]);
  },
);

test.each([false, true])(
  'overrides every time limit, style and read-only setting (replication connection: %s)',
  async (replication) => {
    const url = await prepare('role');
    url.searchParams.set('options', OPTIONS);
    for (const name of ['statement_timeout', 'lock_timeout', 'query_timeout']) url.searchParams.set(name, '7');
    url.searchParams.set('replication', replication ? 'false' : 'database');
    url.searchParams.set('client_encoding', 'LATIN1');
    const connection = await connectFeed(url.href, replication);
    try {
      const names = Object.keys(HOSTILE).map((name) => `'${name}'`);
      const { rows } = await connection.client.query(
        `SELECT lower(name) AS name, setting FROM pg_settings WHERE lower(name) IN (${names}) ORDER BY 1`,
      );
      expect(Object.fromEntries(rows.map(({ name, setting }) => [name, setting]))).toEqual({
        bytea_output: 'hex',
        client_encoding: 'UTF8',
        client_min_messages: 'warning',
        datestyle: 'ISO, MDY',
        default_transaction_isolation: 'read committed',
        default_transaction_read_only: 'off',
        extra_float_digits: '3',
        idle_in_transaction_session_timeout: '0',
        idle_session_timeout: '0',
        intervalstyle: 'iso_8601',
        lc_monetary: 'C',
        lock_timeout: '0',
        quote_all_identifiers: 'off',
        row_security: 'off',
        search_path: 'public',
        standard_conforming_strings: 'on',
        statement_timeout: '0',
        timezone: 'UTC',
        transaction_timeout: '0',
      });
    } finally {
      await connection.end();
    }
  },
);

test.each([
  ['timezone', 'Europe/Berlin', 'tz', 'an ISO 8601 timestamp in UTC'],
  ['datestyle', 'German', 'tz', 'an ISO 8601 timestamp in UTC'],
  ['bytea_output', 'escape', 'raw', 'hexadecimal digits after \\x'],
  ['intervalstyle', 'postgres', 'i', 'an ISO 8601 interval'],
])('copy and stream reject a value written with another %s', async (setting, value, column, expected) => {
  const url = await prepare('address');
  const feed = url.pathname.slice(1);
  const { position, tables } = await baseCopy(url, feed);
  const refusal = {
    code: 'source_unsupported',
    message: expect.stringContaining(`a value of the column ${column} of item is not ${expected}`),
  };
  const copy = await connectFeed(url.href, false);
  const replication = await connectFeed(url.href, true);
  try {
    for (const { client } of [copy, replication]) await client.query(`SET ${setting} = '${value}'`);
    const [table] = tables as [PostgresTable];
    await expect(copyRows(copy.client, table, NO_LIMIT, () => undefined)).rejects.toMatchObject(refusal);
    const sink = new Recorder();
    const decoder = new RowDecoder(sink, [{ number: 1, table }]);
    const stream = new Stream(`tidemark_${feed}`, `tidemark_${feed}`, position, decoder, sink);
    stream.start(replication.client);
    await insertSecond(url);
    await expect(stream.failed).rejects.toMatchObject(refusal);
    expect(sink.transactions).toEqual([]);
  } finally {
    await copy.end();
    await replication.end();
  }
});

test('harmless options of the address remain in effect', async () => {
  const url = await prepare('server');
  url.searchParams.set('options', '-c work_mem=7MB -c statement_timeout=1');
  url.searchParams.set('application_name', 'stock feed');
  const connection = await connectFeed(url.href, false);
  try {
    const { rows } = await connection.client.query(
      "SELECT current_setting('work_mem') AS memory, current_setting('application_name') AS name",
    );
    expect(rows).toEqual([{ memory: '7MB', name: 'stock feed' }]);
  } finally {
    await connection.end();
  }
});
