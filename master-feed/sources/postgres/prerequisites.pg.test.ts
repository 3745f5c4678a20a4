import { seq } from '@tidemark/protocol/cursor';
import { connect } from '@tidemark/testing/oracle';
import { type EmbeddedPostgres, startPostgres } from '@tidemark/testing/postgres/embedded';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { DescribedTables, SourceTable, WantedTables } from '../../source.ts';
import { PostgresSource } from './postgres-source.ts';

/** The prerequisites of the feed's user, each test in a database of its own. */

let postgres: EmbeddedPostgres;
let databases = 0;
let feed: string;
let url: string;
let admin: pg.Client;
const cleanup: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  postgres = await startPostgres();
  const server = await connect(postgres.url);
  await server.query(`CREATE ROLE weak LOGIN REPLICATION PASSWORD 'weak'`);
  await server.end();
});
afterAll(async () => {
  await postgres?.stop();
});
beforeEach(async () => {
  feed = `ready${++databases}`;
  url = await postgres.createDatabase(feed);
  admin = await connect(url);
});
afterEach(async () => {
  for (const stop of cleanup.splice(0).reverse()) await stop();
  await admin.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active');
  await admin.end();
});

/** Opens the source as a user without any right but REPLICATION. */
async function open(user = 'weak', password = 'weak'): Promise<PostgresSource> {
  const address = new URL(url);
  address.username = encodeURIComponent(user);
  address.password = password;
  const source = new PostgresSource(address.href, feed, () => undefined);
  cleanup.push(() => source.close());
  await source.open();
  return source;
}

const ALL: WantedTables = { listed: null, held: new Set() };
const names = (tables: SourceTable[]) => tables.map(({ schema }) => schema.name);
const holding = (...held: string[]): WantedTables => ({ listed: null, held: new Set(held) });

async function refusal(source: PostgresSource, wanted = ALL): Promise<string> {
  const error = (await source.describe(wanted).then(
    () => new Error('nothing is missing'),
    (thrown: unknown) => thrown,
  )) as Error;
  expect(error).toMatchObject({ code: 'source_not_ready' });
  return error.message;
}

/** Returns the statements to run from a text, one string for each line. */
const statementsIn = (text: string) => [...text.matchAll(/\brun: (.*;)$/gim)].map(([, sql]) => sql ?? '');

/** Publishes the tables that the user may publish. */
async function publishAll(source: PostgresSource, wanted = ALL): Promise<DescribedTables> {
  const described = await source.describe(wanted);
  await source.publish(described.tables as never);
  expect(await source.isPublished(described.tables as never)).toBe(true);
  return described;
}

test('the statements for a user whose name needs quotes run as printed', async () => {
  const role = 'Branch "7" feed';
  const quoted = `"${role.replaceAll('"', '""')}"`;
  await admin.query(`CREATE ROLE ${quoted} LOGIN PASSWORD 'secret'`);
  await admin.query('CREATE TABLE item (id int PRIMARY KEY); CREATE TABLE policed (id int PRIMARY KEY)');
  await admin.query(`ALTER TABLE policed ENABLE ROW LEVEL SECURITY; GRANT SELECT ON policed TO ${quoted}`);
  const source = await open(role, 'secret');
  const statements = statementsIn(await refusal(source));
  expect(statements.map((statement) => statement.split(' ', 1)[0])).toEqual(['ALTER', 'GRANT', 'ALTER', 'CREATE']);
  for (const statement of statements) await admin.query(statement);
  expect(names((await publishAll(source)).tables)).toEqual(['item', 'policed']);
});

test('many-missing-prerequisites: a schema of 500 tables with faults of every kind starts after one round', async () => {
  await admin.query(`CREATE SCHEMA "Sales ""EU"""; CREATE SCHEMA closed;
    DO $$ BEGIN
      FOR n IN 1..300 LOOP EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, body text)', n); END LOOP;
      FOR n IN 1..90 LOOP EXECUTE format('CREATE TABLE "Sales ""EU""".%I (id int PRIMARY KEY)', 'Order; ' || n); END LOOP;
      FOR n IN 1..60 LOOP EXECUTE format('CREATE TABLE closed.c%s (id int PRIMARY KEY)', n); END LOOP;
      FOR n IN 1..40 LOOP EXECUTE format('CREATE TABLE keyless%s (id int)', n); END LOOP;
      FOR n IN 1..5 LOOP EXECUTE format('CREATE TABLE policed%s (id int PRIMARY KEY)', n); EXECUTE format('ALTER TABLE policed%s ENABLE ROW LEVEL SECURITY', n); END LOOP;
    END $$;
    CREATE TABLE parted (id int) PARTITION BY LIST (id); CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
    CREATE TABLE half (id int PRIMARY KEY) PARTITION BY LIST (id); CREATE UNLOGGED TABLE half_1 PARTITION OF half FOR VALUES IN (1);
    CREATE TABLE partly (id int PRIMARY KEY, secret text); GRANT SELECT (id) ON partly TO weak;
    CREATE TABLE mine (id int PRIMARY KEY); ALTER TABLE mine OWNER TO weak;
    CREATE TABLE "Twin" (id int PRIMARY KEY); CREATE TABLE twin (id int PRIMARY KEY);
    CREATE TABLE tidemark_own (id int PRIMARY KEY); CREATE TABLE nameless (rowid int, _rowid_ int, oid int); CREATE TABLE empty ();`);
  // Only the administrator can decide about these tables. The error names the setting.
  const except = ['Twin', 'tidemark_own', 'nameless', 'empty'].map((name) => ({ name }));
  const source = await open();
  const first = await refusal(source);
  for (const { name } of except) expect(new RegExp(`${name}.*publish\\.except`).test(first), name).toBe(true);
  expect(first.includes('not allowed to read partly, only some of its columns')).toBe(true);
  expect(first.length).toBeLessThan(250_000);
  expect(first.split('\n').length).toBeLessThan(40);
  const wanted = { ...ALL, except };
  for (const sql of statementsIn(await refusal(source, wanted))) await admin.query(sql);
  const { tables, troubles } = await publishAll(source, wanted);
  expect(troubles).toEqual([]);
  expect(tables).toHaveLength(300 + 90 + 60 + 40 + 5 + 5);
  expect(await source.obstacle({ position: null, head: seq(0) })).toMatchObject({ why: 'the relay has no data' });
  const copy = await source.copyTables('base');
  expect(await copy.readRows(tables[0] as never, { full: false, room: async () => undefined }, () => undefined)).toBe(
    0,
  );
  await copy.close();
});

test('schema-without-usage: names the GRANT', async () => {
  await admin.query(`CREATE SCHEMA s; CREATE TABLE s.item (id int PRIMARY KEY); GRANT SELECT ON s.item TO weak`);
  const source = await open();
  expect(await refusal(source)).toContain(
    'does not have USAGE on the schema s of s.item. Run: GRANT USAGE ON SCHEMA "s" TO weak;',
  );
});

test('one-table-in-trouble: a table that the relay does not hold is described, and the others stay published', async () => {
  await admin.query(
    `CREATE TABLE item (id int PRIMARY KEY); ALTER TABLE item OWNER TO weak; GRANT CREATE ON DATABASE ${feed} TO weak`,
  );
  const source = await open();
  expect(names((await publishAll(source)).tables)).toEqual(['item']);
  await admin.query(`CREATE TABLE lost (id int); ALTER TABLE lost OWNER TO weak; CREATE TABLE unread (id int PRIMARY KEY);
    CREATE TABLE nameless (rowid int, _rowid_ int, oid int); ALTER TABLE nameless REPLICA IDENTITY FULL; ALTER TABLE nameless OWNER TO weak`);
  const { tables, troubles } = await publishAll(source, holding('item'));
  expect(names(tables)).toEqual(['item']);
  expect(troubles.map(({ table, reason }) => [table, reason]).sort()).toEqual([
    ['lost', 'no_key'],
    ['nameless', 'not_supported'],
    ['unread', 'not_readable'],
  ]);
  expect(troubles.find(({ table }) => table === 'unread')?.todo).toBe(
    'Run: GRANT SELECT ON "public"."unread" TO weak; As a superuser, run: ALTER PUBLICATION "tidemark_' +
      `${feed}" ADD TABLE ONLY "public"."unread";`,
  );
});

test.each([
  ["the feed's user", 'weak'],
  ['another user', 'postgres'],
])(
  'superuser-made-publication: a new table that the user may not add concerns only itself, in a publication owned by %s',
  async (_, owner) => {
    await admin.query('CREATE TABLE item (id int PRIMARY KEY); GRANT SELECT ON item TO weak');
    const source = await open();
    for (const sql of statementsIn(await refusal(source))) await admin.query(sql);
    await admin.query(`ALTER PUBLICATION tidemark_${feed} OWNER TO ${owner}`);
    await publishAll(source);
    await admin.query('CREATE TABLE later (id int PRIMARY KEY); GRANT SELECT ON later TO weak');
    const { tables, troubles } = await publishAll(source, holding('item'));
    expect(names(tables)).toEqual(['item']);
    expect(troubles).toMatchObject([{ table: 'later', reason: 'not_published' }]);
    for (const sql of statementsIn(troubles[0]?.todo ?? '')) await admin.query(sql);
    expect(names((await publishAll(source, holding('item'))).tables)).toEqual(['item', 'later']);
  },
);

test('publish-except: leaves out tables by name and by pattern, and names them', async () => {
  await admin.query(`CREATE SCHEMA archive; CREATE TABLE archive.old (id int PRIMARY KEY); CREATE TABLE audit_log (id int);
    CREATE TABLE item (id int PRIMARY KEY); CREATE TABLE stock (id int PRIMARY KEY)`);
  const source = await open('postgres', decodeURIComponent(new URL(url).password));
  const except = [{ name: 'audit_log' }, { name: 'archive.*' }];
  const { tables, notes } = await source.describe({ ...ALL, except });
  expect(names(tables)).toEqual(['item', 'stock']);
  expect(notes).toContain('relay.yaml leaves out archive.old, audit_log.');
  expect(
    await refusal(source, { ...ALL, except: [{ name: 'audit_lgo', at: 'relay.yaml line 4' }, ...except] }),
  ).toContain('- relay.yaml line 4: There is no table audit_lgo.');
});

test('publish-except: a renamed table is not published without its filter', async () => {
  await admin.query('CREATE TABLE item (id int PRIMARY KEY); CREATE TABLE stock (id int PRIMARY KEY)');
  const source = await open('postgres', decodeURIComponent(new URL(url).password));
  const wanted = { ...holding('item', 'stock'), except: [{ name: 'x*' }], filtered: [{ name: 'stock' }] };
  expect(names((await source.describe(wanted)).tables)).toEqual(['item', 'stock']);
  await admin.query('ALTER TABLE stock RENAME TO stock_new');
  const { tables, troubles } = await source.describe(wanted);
  expect(names(tables)).toEqual(['item']);
  expect(troubles.map(({ table }) => table)).toEqual(['stock', 'stock_new']);
});

test('left-out-silently: names everything that is not replicated', async () => {
  await admin.query(`CREATE TABLE item (id int PRIMARY KEY, price int, gross int GENERATED ALWAYS AS (price * 2) VIRTUAL, picture oid);
    CREATE UNLOGGED TABLE fast (id int PRIMARY KEY); CREATE TABLE base (id int PRIMARY KEY, n int);
    CREATE TABLE child (PRIMARY KEY (id)) INHERITS (base); CREATE VIEW seen AS SELECT 1 AS one;
    CREATE MATERIALIZED VIEW kept AS SELECT 1 AS one; CREATE SEQUENCE counter; SELECT lo_create(0)`);
  const source = await open('postgres', decodeURIComponent(new URL(url).password));
  const { tables, notes } = await source.describe(ALL);
  expect(names(tables)).toEqual(['base', 'child', 'item']);
  expect(notes.join('\n')).toMatch(/generated columns.*item\.gross/);
  expect(notes.join('\n')).toMatch(/base holds only its own rows.*public\.child/);
  expect(notes.join('\n')).toMatch(/Unlogged tables are not replicated.*fast/);
  expect(notes.join('\n')).toMatch(/materialized views \(kept\), views \(seen\), sequences \(counter\)/);
  expect(notes.join('\n')).toMatch(/Large objects are not replicated.*item\.picture/);
});

test('granted-later: the catalogue mark changes with every right that the feed may be waiting for', async () => {
  await admin.query(`CREATE SCHEMA s; CREATE TABLE s.item (id int PRIMARY KEY, a int); CREATE TABLE item (id int PRIMARY KEY);
    CREATE PUBLICATION other; CREATE ROLE readers_${feed} NOLOGIN; CREATE ROLE late_${feed} LOGIN PASSWORD 'late'`);
  const source = await open(`late_${feed}`, 'late');
  const rights = [
    'GRANT USAGE ON SCHEMA s TO late',
    'GRANT SELECT ON s.item TO late',
    'GRANT SELECT (a) ON s.item TO late',
    'GRANT readers TO late',
    'ALTER ROLE late BYPASSRLS',
    'ALTER ROLE late REPLICATION',
    'ALTER TABLE item ENABLE ROW LEVEL SECURITY',
    'ALTER TABLE item OWNER TO late',
    `GRANT CREATE ON DATABASE ${feed} TO late`,
    'ALTER PUBLICATION other OWNER TO late',
    'REVOKE SELECT ON s.item FROM late',
    'ALTER ROLE late SUPERUSER',
  ].map((sql) => sql.replaceAll(/\b(late|readers)\b/g, `$1_${feed}`));
  let mark = await source.catalogMark();
  for (const sql of rights) {
    await admin.query(sql);
    const after = await source.catalogMark();
    expect(after, sql).not.toBe(mark);
    mark = after;
  }
  expect(await source.catalogMark()).toBe(mark);
});
