import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { isDeepStrictEqual } from 'node:util';
import { FeedTroubles } from '@tidemark/protocol/trouble';
import { MemoryWatch } from '@tidemark/testing/memory';
import { connect, differences } from '@tidemark/testing/oracle';
import { startPostgres } from '@tidemark/testing/postgres/embedded';
import { until } from '@tidemark/testing/processes';
import { System } from '@tidemark/testing/system';
import type BetterSqlite3 from 'better-sqlite3';
import type pg from 'pg';
import { afterEach, expect, test } from 'vitest';

/**
 * F17: one row, one value or one table never stops the others. The table is set aside with a mark at every terminal, the
 * other tables follow the master, and the table follows again when the cause is gone.
 */

const Sqlite = createRequire(import.meta.url)('better-sqlite3') as typeof BetterSqlite3;

const TABLES = `CREATE TABLE good (id int PRIMARY KEY, body text); INSERT INTO good VALUES (1, 'one');
  CREATE TABLE bad (id int PRIMARY KEY, body bytea, note text); INSERT INTO bad VALUES (1, '\\x01', 'first');`;
const GOOD = [
  { name: 'id', rule: 'integer' as const },
  { name: 'body', rule: 'text' as const },
];
const BAD = [
  { name: 'id', rule: 'integer' as const },
  { name: 'body', rule: 'blob' as const },
  { name: 'note', rule: 'text' as const },
];

const WIN1252 = "CREATE DATABASE other_encoding ENCODING 'WIN1252' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'";

const cleanup: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of cleanup.splice(0).reverse()) await stop();
});

interface Lab {
  master: pg.Client;
  system: System;
  url: string;
}

/** Starts a master with these tables, and relay and feed, in which a table that failed is tried again after a second. */
async function lab(sql: string, database?: string, feed?: string): Promise<Lab> {
  process.env.TIDEMARK_TABLE_RETRY_MS = '1000';
  const postgres = await startPostgres({ walLevel: 'logical' });
  cleanup.push(() => postgres.stop());
  let url = postgres.url;
  if (database !== undefined) {
    const admin = await connect(url);
    await admin.query(database);
    await admin.end();
    const named = new URL(url);
    named.pathname = '/other_encoding';
    url = named.href;
  }
  const master = await connect(url);
  cleanup.push(() => master.end());
  await master.query(sql);
  const system = await System.start(url, null, feed === undefined ? {} : { feed });
  cleanup.push(() => system.stop());
  await system.addToken('admin', 'office');
  return { master, system, url };
}

/** Returns the state of each table at the terminal after a pull. */
async function states({ system }: Lab): Promise<Record<string, string>> {
  await system.pull();
  const db = new Sqlite(system.database(), { readonly: true });
  try {
    const rows = db.prepare('SELECT name, set_aside, reason FROM tidemark_table_status ORDER BY name').all() as {
      name: string;
      set_aside: number;
      reason: string | null;
    }[];
    return Object.fromEntries(
      rows.map(({ name, set_aside, reason }) => [name, set_aside === 1 ? `set aside: ${reason}` : 'current']),
    );
  } finally {
    db.close();
  }
}

async function untilStates(it: Lab, expected: Record<string, string>): Promise<void> {
  let found: Record<string, string> = {};
  await until(
    async () => {
      found = await states(it);
      return isDeepStrictEqual(found, expected);
    },
    () => `${JSON.stringify(found)} instead of ${JSON.stringify(expected)}: ${it.system.feed?.stdout.slice(-3000)}`,
    180_000,
  );
}

/** Waits until the table at the terminal equals the master's. */
async function untilEqual(it: Lab, table: string, columns: typeof GOOD | typeof BAD): Promise<void> {
  let found: string[] = [];
  await until(
    async () => {
      await it.system.pull();
      found = await differences(it.master, it.system.database(), table, columns);
      return found.length === 0;
    },
    () => `${found.join('; ')}: ${it.system.feed?.stdout.slice(-3000)}`,
    180_000,
  );
}

/** Returns the feed's report, which only an administrator may read. */
async function troubles({ system }: Lab): Promise<FeedTroubles['report']> {
  const token = (await readFile(system.tokenFile('office'), 'utf8')).trim();
  const answer = await fetch(`${system.url}/v1/feeds/shop/troubles`, { headers: { authorization: `Bearer ${token}` } });
  return FeedTroubles.parse(await answer.json()).report;
}

const SET_ASIDE = (reason: string) => ({ bad: `set aside: ${reason}`, good: 'current' });
const CURRENT = { bad: 'current', good: 'current' };

test('row-too-large: a row over the limit sets its table aside, in the stream and after a restart, until it is deleted', async () => {
  const it = await lab(TABLES);
  await untilStates(it, CURRENT);
  await it.master.query("INSERT INTO bad SELECT 2, decode(repeat('ab', 26 * 1024 * 1024), 'hex'), 'large'");
  await it.master.query("INSERT INTO good VALUES (2, 'two')");
  await untilStates(it, SET_ASIDE('row_too_large'));
  await untilEqual(it, 'good', GOOD);
  const report = await troubles(it);
  expect(report?.tables).toMatchObject([{ table: 'bad', reason: 'row_too_large', held: true }]);
  expect(report?.tables[0]?.detail).toContain('id = 2');
  await it.system.feed?.stop('SIGKILL');
  it.system.startFeed();
  await it.master.query("INSERT INTO good VALUES (3, 'three')");
  await untilEqual(it, 'good', GOOD);
  await untilStates(it, SET_ASIDE('row_too_large'));
  await it.master.query('DELETE FROM bad WHERE id = 2');
  await untilStates(it, CURRENT);
  await untilEqual(it, 'bad', BAD);
  expect((await troubles(it))?.tables).toEqual([]);
});

test('row-too-large: the first copy leaves the table out, and it follows when the row is deleted', async () => {
  const it = await lab(`${TABLES} INSERT INTO bad SELECT 2, decode(repeat('ab', 26 * 1024 * 1024), 'hex'), 'large';`);
  await untilStates(it, { good: 'current' });
  expect((await troubles(it))?.tables).toMatchObject([{ table: 'bad', reason: 'row_too_large', held: false }]);
  await it.master.query('DELETE FROM bad WHERE id = 2');
  await untilStates(it, CURRENT);
  await untilEqual(it, 'bad', BAD);
});

test('row-of-300-MB: a feed with a heap of 512 MB sets the table aside, in the stream and in the first copy', async () => {
  const heap = process.env.NODE_OPTIONS;
  process.env.NODE_OPTIONS = '--max-old-space-size=512';
  cleanup.push(async () => {
    if (heap === undefined) delete process.env.NODE_OPTIONS;
    else process.env.NODE_OPTIONS = heap;
  });
  const large = (table: string) =>
    `INSERT INTO ${table} SELECT 2, decode(repeat('ab', 300 * 1024 * 1024), 'hex'), 'large';`;
  const it = await lab(`${TABLES} CREATE TABLE copied (id int PRIMARY KEY, body bytea, note text); ${large('copied')}`);
  await untilStates(it, CURRENT);
  expect((await troubles(it))?.tables).toMatchObject([{ table: 'copied', reason: 'row_too_large', held: false }]);
  const memory = process.platform === 'linux' ? new MemoryWatch(it.system.feed?.child.pid) : null;
  await it.master.query(large('bad'));
  await it.master.query("INSERT INTO good VALUES (2, 'two')");
  await untilStates(it, SET_ASIDE('row_too_large'));
  await untilEqual(it, 'good', GOOD);
  // The message has 600 MiB, and node-postgres doubles its buffer while the message arrives.
  expect(memory?.growthMib ?? 0).toBeLessThan(3 * 600);
  expect(it.system.feed?.child.exitCode).toBeNull();
  expect(it.system.events('session').length).toBeLessThan(10);
  const details = (await troubles(it))?.tables.map(({ detail }) => detail);
  expect(details).toEqual([expect.stringContaining('id = 2'), expect.stringContaining('id = 2')]);
  await it.master.query('DELETE FROM bad WHERE id = 2; DELETE FROM copied WHERE id = 2');
  await untilStates(it, { ...CURRENT, copied: 'current' });
});

test('largest-row: a row just below the limit arrives, in the stream and in the first copy', async () => {
  const large = (id: number) =>
    `INSERT INTO bad SELECT ${id}, decode(repeat('ab', 24 * 1024 * 1024 - 1024), 'hex'), 'large';`;
  const it = await lab(TABLES + large(2));
  await untilStates(it, CURRENT);
  await it.master.query(large(3));
  await untilEqual(it, 'bad', BAD);
  expect(await states(it)).toEqual(CURRENT);
});

test('grown-row: a row that grows past the limit by updates of one column each sets its table aside until it is smaller', async () => {
  const value = (text: string) => `decode(repeat('${text}', 12 * 1024 * 1024), 'hex')`;
  const it = await lab(`${TABLES} ALTER TABLE bad ADD second bytea, ADD third bytea;
    ALTER TABLE bad ALTER body SET STORAGE EXTERNAL, ALTER second SET STORAGE EXTERNAL, ALTER third SET STORAGE EXTERNAL;`);
  await untilStates(it, CURRENT);
  await it.master.query(`UPDATE bad SET body = ${value('ab')}`);
  await untilEqual(it, 'bad', BAD);
  await it.master.query(`UPDATE bad SET second = ${value('cd')}`);
  await it.master.query("INSERT INTO good VALUES (2, 'two')");
  await untilStates(it, SET_ASIDE('row_too_large'));
  await untilEqual(it, 'good', GOOD);
  const report = await troubles(it);
  expect(report?.tables).toMatchObject([{ table: 'bad', reason: 'row_too_large', held: true }]);
  expect(report?.tables[0]?.detail).toContain('33,554,');
  await it.master.query(`UPDATE bad SET third = ${value('ef')}`);
  await it.master.query("INSERT INTO good VALUES (3, 'three')");
  await untilEqual(it, 'good', GOOD);
  expect(await states(it)).toEqual(SET_ASIDE('row_too_large'));
  expect(it.system.events('base-copy')).toHaveLength(1);
  await it.master.query('UPDATE bad SET body = NULL, second = NULL');
  await untilStates(it, CURRENT);
  await untilEqual(it, 'bad', BAD);
});

test('value-not-unicode: a value that the master cannot convert sets its table aside until it is corrected', async () => {
  const it = await lab(TABLES, WIN1252);
  await untilStates(it, CURRENT);
  await it.master.query("INSERT INTO bad VALUES (2, NULL, convert_from('\\x81', 'WIN1252'))");
  await it.master.query("INSERT INTO good VALUES (2, 'two')");
  await untilStates(it, SET_ASIDE('value_unconvertible'));
  await untilEqual(it, 'good', GOOD);
  await it.master.query("UPDATE bad SET note = 'corrected' WHERE id = 2");
  await untilStates(it, CURRENT);
  await untilEqual(it, 'bad', BAD);
});

test('lost-key: a table that loses its key is set aside, and follows again when it has one', async () => {
  const it = await lab(TABLES);
  await untilStates(it, CURRENT);
  await it.master.query("ALTER TABLE bad DROP CONSTRAINT bad_pkey; INSERT INTO bad VALUES (2, NULL, 'while keyless')");
  await it.master.query("INSERT INTO good VALUES (2, 'two')");
  await untilStates(it, SET_ASIDE('no_key'));
  await untilEqual(it, 'good', GOOD);
  await it.system.relay?.stop('SIGKILL');
  await it.system.startRelay();
  await it.master.query("INSERT INTO good VALUES (3, 'three')");
  await untilEqual(it, 'good', GOOD);
  expect(await states(it)).toEqual(SET_ASIDE('no_key'));
  await it.master.query('ALTER TABLE bad ADD PRIMARY KEY (id)');
  await untilStates(it, CURRENT);
  await untilEqual(it, 'bad', BAD);
});

test('keyless-partition: a new partition without a key sets only its partitioned table aside', async () => {
  const it = await lab(`CREATE TABLE good (id int PRIMARY KEY, body text);
    CREATE TABLE bad (id int, body bytea, note text) PARTITION BY LIST (id); CREATE TABLE bad_1 PARTITION OF bad FOR VALUES IN (1);
    ALTER TABLE bad REPLICA IDENTITY FULL; ALTER TABLE bad_1 REPLICA IDENTITY FULL; INSERT INTO bad VALUES (1, NULL, 'first');`);
  await untilStates(it, CURRENT);
  await it.master.query(
    "CREATE TABLE bad_2 PARTITION OF bad FOR VALUES IN (2); INSERT INTO bad VALUES (2, NULL, 'second')",
  );
  await it.master.query("INSERT INTO good VALUES (2, 'two')");
  await untilStates(it, SET_ASIDE('no_key'));
  await it.master.query("INSERT INTO good VALUES (3, 'three'); INSERT INTO bad VALUES (2, NULL, 'again')");
  await untilEqual(it, 'good', GOOD);
  await it.master.query('ALTER TABLE bad_2 REPLICA IDENTITY FULL');
  await untilStates(it, CURRENT);
  await untilEqual(it, 'bad', BAD);
});

test('comment-refused: an event trigger that refuses comments on the publication stops nothing', async () => {
  const it = await lab(`${TABLES}
    CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'change freeze'; END $$;
    CREATE EVENT TRIGGER change_freeze ON ddl_command_start WHEN TAG IN ('COMMENT') EXECUTE FUNCTION refuse();`);
  await untilStates(it, CURRENT);
  await it.master.query("INSERT INTO good VALUES (2, 'two'); INSERT INTO bad VALUES (2, NULL, 'second')");
  await untilEqual(it, 'good', GOOD);
  await untilEqual(it, 'bad', BAD);
});

test('two-at-once: two tables are set aside for different reasons, and recover one after the other', async () => {
  const it = await lab(`${TABLES} CREATE TABLE worse (id int PRIMARY KEY, body bytea, note text);`);
  await untilStates(it, { ...CURRENT, worse: 'current' });
  await it.master.query(
    "ALTER TABLE worse DROP CONSTRAINT worse_pkey; INSERT INTO bad SELECT 2, decode(repeat('ab', 26 * 1024 * 1024), 'hex'), 'large'",
  );
  await untilStates(it, { ...SET_ASIDE('row_too_large'), worse: 'set aside: no_key' });
  await it.master.query("ALTER TABLE worse ADD PRIMARY KEY (id); INSERT INTO worse VALUES (1, NULL, 'back')");
  await untilStates(it, { ...SET_ASIDE('row_too_large'), worse: 'current' });
  await untilEqual(it, 'worse', BAD);
  await it.master.query('DELETE FROM bad WHERE id = 2');
  await untilStates(it, { ...CURRENT, worse: 'current' });
  await untilEqual(it, 'bad', BAD);
});

test('dropped-while-aside: a table that is dropped while it is set aside leaves the terminals', async () => {
  const it = await lab(TABLES);
  await untilStates(it, CURRENT);
  await it.master.query('ALTER TABLE bad DROP CONSTRAINT bad_pkey');
  await untilStates(it, SET_ASIDE('no_key'));
  await it.master.query('DROP TABLE bad');
  await untilStates(it, { good: 'current' });
});

test('five-bad-tables: tables that fail for five reasons cost one base copy, and the others follow', async () => {
  const names = ['filtered', 'keyless', 'large', 'mood', 'not_unicode'];
  const it = await lab(
    `${TABLES} CREATE TYPE temper AS ENUM ('calm', 'glad');
    ${names.map((name) => `CREATE TABLE ${name} (id int PRIMARY KEY, body bytea, note text, mood temper); INSERT INTO ${name} VALUES (1);`).join(' ')}`,
    WIN1252,
    'shop: { publish: { except: ["nothing*"] }, tables: { filtered: { where: { note: [a, null] } } } }',
  );
  await untilStates(it, { ...CURRENT, ...Object.fromEntries(names.map((name) => [name, 'current'])) });
  const before = (await it.system.status()).head;
  await it.system.feed?.stop('SIGTERM');
  await it.master.query(`ALTER TABLE filtered RENAME COLUMN note TO remark;
    ALTER TABLE keyless DROP CONSTRAINT keyless_pkey;
    INSERT INTO large SELECT 2, decode(repeat('ab', 26 * 1024 * 1024), 'hex');
    INSERT INTO mood VALUES (2, NULL, NULL, 'glad');
    INSERT INTO not_unicode VALUES (2, NULL, convert_from('\\x81', 'WIN1252'));
    INSERT INTO good VALUES (2, 'two');
    SET allow_system_table_mods = on; DELETE FROM pg_enum WHERE enumlabel = 'glad'`);
  await it.master.query("SELECT pg_drop_replication_slot('tidemark_shop')");
  it.system.startFeed();
  await untilEqual(it, 'good', GOOD);
  await untilStates(it, {
    ...CURRENT,
    filtered: 'set aside: filter_invalid',
    keyless: 'set aside: no_key',
    large: 'set aside: row_too_large',
    mood: 'set aside: other',
    not_unicode: 'set aside: value_unconvertible',
  });
  expect((await troubles(it))?.tables.map(({ table, held }) => [table, held]).sort()).toEqual(
    names.map((name) => [name, true]),
  );
  expect(it.system.events('base-copy')).toHaveLength(1);
  expect((await it.system.status()).head?.epoch).toBe(before?.epoch);
  await it.master.query(`DELETE FROM large WHERE id = 2; DELETE FROM mood WHERE id = 2; DELETE FROM not_unicode WHERE id = 2;
    ALTER TABLE keyless ADD PRIMARY KEY (id); ALTER TABLE filtered RENAME COLUMN remark TO note`);
  await untilStates(it, { ...CURRENT, ...Object.fromEntries(names.map((name) => [name, 'current'])) });
  expect(it.system.events('base-copy')).toHaveLength(1);
});
