import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Rule } from '@tidemark/testing/kinds';
import { connect, differences } from '@tidemark/testing/oracle';
import { type EmbeddedPostgres, startPostgres } from '@tidemark/testing/postgres/embedded';
import { until } from '@tidemark/testing/processes';
import { System } from '@tidemark/testing/system';
import type BetterSqlite3 from 'better-sqlite3';
import type pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const Sqlite = createRequire(import.meta.url)('better-sqlite3') as typeof BetterSqlite3;

const cleanup: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of cleanup.splice(0).reverse()) await stop();
});

const RULES: Record<string, Rule> = {
  integer: 'integer',
  bigint: 'integer',
  boolean: 'boolean',
  'numeric(10,2)': 'decimal',
  'timestamp with time zone': 'timestamptz',
  bytea: 'blob',
};

let postgres: EmbeddedPostgres;
let master: pg.Client;
let system: System;

async function begin(sql: string, tables: string[] | null = null): Promise<void> {
  await master.query(sql);
  system = await System.start(postgres.url, tables);
  cleanup.push(() => system.stop());
  await system.settled();
  await system.pull();
  forget();
}

/** Differences between a terminal and the master's published tables: tables, columns and every value. */
async function problems(database: string): Promise<unknown[]> {
  const { rows } = await master.query(
    `SELECT c.relname AS name, json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod)) ORDER BY a.attnum) AS columns
     FROM pg_publication_rel r JOIN pg_class c ON c.oid = r.prrelid JOIN pg_attribute a ON a.attrelid = c.oid
     WHERE a.attnum > 0 AND NOT a.attisdropped GROUP BY c.relname ORDER BY 1`,
  );
  const wanted = (rows as { name: string; columns: string }[]).map(({ name, columns }) => ({
    name,
    columns: JSON.parse(columns) as [string, string][],
  }));
  const db = new Sqlite(database, { readonly: true });
  const names = db
    .prepare(
      "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'tidemark%' AND name NOT LIKE 'sqlite%' ORDER BY 1",
    )
    .pluck()
    .all() as string[];
  const columnsOf = db.prepare('SELECT name FROM pragma_table_info(?) ORDER BY cid').pluck();
  const here = Object.fromEntries(names.map((name) => [name, columnsOf.all(name)]));
  db.close();
  const there = Object.fromEntries(wanted.map(({ name, columns }) => [name, columns.map(([column]) => column)]));
  if (!isDeepStrictEqual(here, there)) return [{ here, there }];
  const found: string[] = [];
  for (const { name, columns } of wanted) {
    const rules = columns.map(([column, type]) => ({ name: column, rule: RULES[type] ?? ('text' as const) }));
    found.push(...(await differences(master, database, name, rules)));
  }
  return found;
}

/** Waits until a terminal equals the master. The feed notices a changed table some seconds later. */
async function equal(database = system.database()): Promise<void> {
  let found: unknown[] = [];
  const end = Date.now() + 40_000;
  do {
    await system.settled();
    await system.pull(database);
    found = await problems(database);
  } while (found.length > 0 && Date.now() < end);
  expect(found, system.feed?.stdout.slice(-3000)).toEqual([]);
}

const events = (event: string) => system.events(event);
/** The message of a running feed about a master that is not ready. The feed waits until the prerequisite is met. */
async function refusal(): Promise<string> {
  const refusals = () => events('fault').filter(({ code }) => code === 'source_not_ready');
  await until(
    async () => refusals().length > 0,
    () => `the feed reports no refusal: ${system.feed?.stdout.slice(-1000)}`,
  );
  return String(refusals()[0]?.message);
}
const copied = () => events('copied').map(({ table }) => table);
const forget = () => {
  if (system.feed) system.feed.stdout = '';
};

/** Number of changes in the relay's log after a transaction. */
function changesSince(seq: number): number {
  const db = new Sqlite(path.join(system.folder, 'relay-data/shop/feed.sqlite'), { readonly: true });
  const sum = db
    .prepare("SELECT total(changes) FROM tidemark_transaction WHERE scope = '*' AND seq > ?")
    .pluck()
    .get(seq);
  db.close();
  return Number(sum);
}
const head = async () => (await system.status()).head?.seq ?? 0;

/** Writes rows to the table `other` without a pause, and runs the statements of `also`. Returns a function that stops it. */
function flow(also: (n: number) => string = () => ''): () => Promise<void> {
  let flowing = true;
  const done = (async () => {
    const writer = await connect(postgres.url);
    for (let n = 0; flowing; n++) {
      await writer.query(
        `INSERT INTO other (body) VALUES ('flows ${n}'); UPDATE other SET body = 'written ${n}' WHERE id % 7 = ${n % 7}`,
      );
      // Fails while the table is being altered, which is the purpose of `also`.
      await writer.query(also(n)).catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await writer.end();
  })();
  return async () => {
    flowing = false;
    await done;
  };
}

async function underFlow(sql: string, also?: (n: number) => string): Promise<void> {
  const stop = flow(also);
  await master.query(sql);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  await stop();
  await equal();
}

const OTHER = `CREATE TABLE other (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, body text);
  INSERT INTO other (body) SELECT 'row ' || n FROM generate_series(1, 50) n;`;
const ITEM = `CREATE TABLE item (id int PRIMARY KEY, name text, price numeric(10,2), note text);
  INSERT INTO item SELECT n, 'item ' || n, n * 1.5, CASE WHEN n % 3 > 0 THEN 'note ' || n END FROM generate_series(1, 400) n;`;

beforeEach(async () => {
  postgres = await startPostgres({ walLevel: 'logical' });
  cleanup.push(() => postgres.stop());
  master = await connect(postgres.url);
  cleanup.push(() => master.end());
});

/** Each kind of schema change, in order, and the most changes that it may add to the log. `item` has 400 rows. */
const CHANGES: [what: string, sql: string, most: number][] = [
  ['a column is added', 'ALTER TABLE item ADD COLUMN extra int', 1],
  ['a column is added with a default', "ALTER TABLE item ADD COLUMN stock text DEFAULT 'none'", 401],
  ['a column is renamed', 'ALTER TABLE item RENAME COLUMN note TO remark', 1],
  ['a column is dropped', 'ALTER TABLE item DROP COLUMN name', 1],
  ['a column is dropped and created again', 'ALTER TABLE item DROP COLUMN remark, ADD COLUMN remark text', 401],
  ['a type is widened', 'ALTER TABLE item ALTER COLUMN id TYPE bigint', 1],
  ['values are rewritten under their type', 'ALTER TABLE item ALTER price TYPE numeric(10,2) USING price * 2', 401],
  ['a type is changed', "ALTER TABLE item ALTER COLUMN price TYPE text USING 'EUR ' || price", 401],
  ['only a default is set', "ALTER TABLE item ALTER COLUMN price SET DEFAULT 'x'", 0],
  ['the replica identity is changed', 'ALTER TABLE item REPLICA IDENTITY FULL', 0],
  ['the table is renamed', 'ALTER TABLE item RENAME TO article', 1],
  ['the key is changed', 'ALTER TABLE article DROP CONSTRAINT item_pkey, ADD PRIMARY KEY (id, price)', 401],
  ['the table is dropped', 'DROP TABLE article', 1],
  ['a table is created', 'CREATE TABLE fresh (id int PRIMARY KEY); INSERT INTO fresh VALUES (1), (2)', 3],
];

test.each([
  ['columns', 0, 7],
  ['types, keys and tables', 7, CHANGES.length],
])(
  'F10: changes of %s arrive without new rows, renames keep rows, and the feed re-reads only the altered table',
  async (_, from, to) => {
    await begin(OTHER + ITEM);
    const { epoch } = (await system.status()).head ?? {};
    for (const [what, sql, most] of CHANGES.slice(from, to)) {
      forget();
      const before = await head();
      await master.query(sql);
      await equal();
      expect(changesSince(before), what).toBeLessThanOrEqual(most);
      expect(copied(), what).not.toContain('other');
      expect(events('base'), what).toEqual([]);
    }
    expect((await system.status()).head?.epoch).toBe(epoch);
    await equal(system.database('late'));
  },
);

test('schema-change-under-flow: each kind of change while two tables receive rows', async () => {
  await begin(OTHER + ITEM);
  forget();
  const stop = flow(
    (n) =>
      `INSERT INTO item (id, price) VALUES (${1000 + n}, 1) ON CONFLICT DO NOTHING; UPDATE item SET price = price WHERE id % 50 = ${n % 50}; DELETE FROM item WHERE id = ${n}`,
  );
  for (const [, sql] of CHANGES.filter(([what]) => !what.startsWith('the table is'))) {
    await master.query(sql.replaceAll('article', 'item'));
    await new Promise((resolve) => setTimeout(resolve, 1500));
  }
  await stop();
  await equal();
  expect(events('base')).toEqual([]);
  expect(copied()).not.toContain('other');
});

test('schema-change-under-flow: with transactions open across the change', async () => {
  await begin(`${OTHER}${ITEM}${ITEM.replaceAll('item', 'thing')}`);
  const stop = flow();
  const open = await connect(postgres.url);
  cleanup.push(() => open.end());
  await open.query("BEGIN; INSERT INTO other (body) VALUES ('open'); UPDATE thing SET note = 'open' WHERE id < 9");
  await master.query("ALTER TABLE item ADD COLUMN extra text DEFAULT 'e'; UPDATE item SET name = 'after' WHERE id = 5");
  await until(
    async () => events('waiting-for-open-transactions').length > 0,
    () => 'it does not wait',
  );
  await open.query("DELETE FROM thing WHERE id = 1; UPDATE item SET note = 'late' WHERE id = 6; COMMIT");
  // One transaction alters and writes, and is partly rolled back. Another one is rolled back completely.
  await open.query(
    'BEGIN; ALTER TABLE thing ADD COLUMN a int DEFAULT 7; SAVEPOINT s; ALTER TABLE thing ADD COLUMN b int; INSERT INTO thing VALUES (5001)',
  );
  await open.query('ROLLBACK TO s; INSERT INTO thing VALUES (5000); COMMIT');
  await open.query('BEGIN; ALTER TABLE other ADD COLUMN never int; ROLLBACK');
  await stop();
  await equal();
  expect(copied()).not.toContain('other');
});

test('schema-change-while-away: all kinds of changes while the feed is down', async () => {
  await begin(`${OTHER}${ITEM}${ITEM.replaceAll('item', 'thing')}${ITEM.replaceAll('item', 'salt')}${ITEM.replaceAll('item', 'sugar')}
    CREATE TABLE gone (id int PRIMARY KEY); CREATE TABLE again (id int PRIMARY KEY, n int); INSERT INTO again VALUES (1, 1), (2, 2)`);
  await system.feed?.stop('SIGTERM');
  const before = await head();
  await master.query("INSERT INTO other (body) VALUES ('before')");
  await master.query(
    'UPDATE item SET price = 7 WHERE id < 20; ALTER TABLE item RENAME TO article; ALTER TABLE article RENAME COLUMN note TO remark',
  );
  await master.query('ALTER TABLE thing ALTER price TYPE numeric(10,2) USING price + 1');
  await master.query("UPDATE salt SET name = 'l'; UPDATE sugar SET name = 'r'");
  await master.query(
    'ALTER TABLE salt RENAME TO middle; ALTER TABLE sugar RENAME TO salt; ALTER TABLE middle RENAME TO sugar',
  );
  await master.query('DROP TABLE gone; CREATE TABLE fresh (id int PRIMARY KEY); INSERT INTO fresh VALUES (1)');
  await master.query(
    'DROP TABLE again; CREATE TABLE again (id int PRIMARY KEY, n int); INSERT INTO again VALUES (2, 2), (3, 3)',
  );
  await master.query("INSERT INTO other (body) VALUES ('after')");
  system.startFeed();
  await equal();
  expect(events('base')).toEqual([]);
  expect(copied().sort()).toEqual(['again', 'article', 'fresh', 'salt', 'sugar', 'thing']);
  // The renamed table sends only its updated rows. One of the two tables that swapped names sends all rows.
  expect(changesSince(before)).toBeLessThan(20 + 400 + 2 * 400 + 400 + 20);
});

test('altered-and-back: re-reads a table that was altered and restored', async () => {
  await begin(OTHER + ITEM);
  await master.query('ALTER TABLE item DROP COLUMN note');
  await master.query('INSERT INTO item (id) VALUES (1001)');
  await master.query('ALTER TABLE item ADD COLUMN note text');
  await master.query('UPDATE item SET price = 3 WHERE id = 4');
  await equal();
  await system.feed?.stop('SIGTERM');
  await master.query('ALTER TABLE item RENAME COLUMN price TO cost; UPDATE item SET cost = 4 WHERE id = 4');
  await master.query('ALTER TABLE item RENAME COLUMN cost TO price');
  await master.query("INSERT INTO other (body) VALUES ('x')");
  system.startFeed();
  await equal();
  expect(events('base')).toEqual([]);
  expect(copied()).not.toContain('other');
});

test('renames: two tables swap names, three rename in a chain, and columns swap, while rows arrive', async () => {
  await begin(`${OTHER}${ITEM}${ITEM.replaceAll('item', 'thing')}`);
  await underFlow(
    `BEGIN; ALTER TABLE item RENAME TO x; ALTER TABLE thing RENAME TO item; ALTER TABLE x RENAME TO thing; COMMIT;
     UPDATE item SET price = 1 WHERE id = 1; UPDATE thing SET price = 2 WHERE id = 2`,
  );
  await underFlow('BEGIN; ALTER TABLE item RENAME TO third; ALTER TABLE thing RENAME TO item; COMMIT');
  await system.feed?.stop('SIGTERM');
  const before = await head();
  await master.query(
    'BEGIN; ALTER TABLE item RENAME name TO x; ALTER TABLE item RENAME note TO name; ALTER TABLE item RENAME x TO note; COMMIT',
  );
  system.startFeed();
  await equal();
  expect(changesSince(before)).toBe(1);
  expect(copied()).toEqual(['item']);
});

test('partitions: attaching, detaching, dropping and truncating one changes the root table', async () => {
  await begin(`${OTHER}CREATE TABLE event (day date, id int, body text, PRIMARY KEY (day, id)) PARTITION BY RANGE (day);
    CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
    CREATE TABLE event_2 PARTITION OF event FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
    CREATE TABLE event_3 PARTITION OF event FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');
    INSERT INTO event SELECT date '2026-01-01' + n, n, 'event ' || n FROM generate_series(1, 80) n`);
  await master.query('DROP TABLE event_1');
  await equal();
  await master.query('TRUNCATE event_2');
  await equal();
  await master.query(
    `CREATE TABLE event_4 (day date NOT NULL, id int NOT NULL, body text, PRIMARY KEY (day, id)); INSERT INTO event_4 VALUES ('2026-04-02', 1, 'was there');`,
  );
  await equal();
  await master.query("ALTER TABLE event ATTACH PARTITION event_4 FOR VALUES FROM ('2026-04-01') TO ('2026-05-01')");
  await equal();
  await master.query('ALTER TABLE event DETACH PARTITION event_3');
  await equal();
  expect(events('base')).toEqual([]);
});

const PARTED = `CREATE TABLE p (id int, n int, body text, PRIMARY KEY (id, n)) PARTITION BY RANGE (n);
  CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
  CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20) PARTITION BY LIST (n);
  CREATE TABLE p2_10 PARTITION OF p2 FOR VALUES IN (10);
  CREATE TABLE "P2 rest" (body text, n int NOT NULL, gone int, id int NOT NULL, PRIMARY KEY (id, n)); ALTER TABLE "P2 rest" DROP COLUMN gone;
  ALTER TABLE p2 ATTACH PARTITION "P2 rest" DEFAULT;
  INSERT INTO p SELECT n, n, 'row ' || n FROM generate_series(0, 19) n;`;

test('partitions: changes stream from every partition, even while a transaction is open', async () => {
  await begin(`${OTHER}${PARTED}`);
  const open = await connect(postgres.url);
  cleanup.push(() => open.end());
  await open.query("BEGIN; INSERT INTO other (body) VALUES ('open')");
  const before = await head();
  for (let n = 0; n < 20; n++) await master.query('INSERT INTO p VALUES ($1, $2)', [100 + n, n]);
  await master.query("UPDATE p SET body = 'changed' WHERE id = 15");
  await master.query('UPDATE p SET n = 3 WHERE id = 16');
  await master.query('DELETE FROM p WHERE id = 17');
  await system.settled();
  expect((await head()) - before).toBe(23);
  expect(events('altered').concat(events('resync'), events('waiting-for-open-transactions'))).toEqual([]);
  await open.query('COMMIT');
  await equal();
});

test('partitions: one that is attached later arrives with its rows, even while the feed is down', async () => {
  await begin(`${OTHER}${PARTED}`);
  const attach = (from: number) => `CREATE TABLE p_${from} (LIKE p INCLUDING ALL);
    INSERT INTO p_${from} VALUES (1, ${from}, 'before'), (2, ${from}, 'before'); BEGIN;
    ALTER TABLE p ATTACH PARTITION p_${from} FOR VALUES FROM (${from}) TO (${from + 10}); COMMIT;
    UPDATE p SET body = 'after' WHERE id = 1; INSERT INTO p VALUES (3, ${from}, 'after')`;
  await master.query(attach(20));
  await equal();
  await system.feed?.stop('SIGTERM');
  await master.query(attach(30));
  system.startFeed();
  await equal();
  expect(copied()).toEqual(['p']);
  expect(events('base')).toEqual([]);
});

test('partitions: one that was attached and dropped while the feed was down leaves no rows', async () => {
  await begin(`${OTHER}${PARTED}`);
  const sql = `CREATE TABLE p_x PARTITION OF p FOR VALUES FROM (50) TO (60); INSERT INTO p VALUES (1, 50), (1, 1000 % 7); DROP TABLE p_x`;
  for (const also of ['', 'ALTER TABLE other ADD COLUMN extra int']) {
    await system.feed?.stop('SIGTERM');
    await master.query('DELETE FROM p WHERE id = 1');
    await master.query(sql);
    await master.query(also);
    system.startFeed();
    await equal();
  }
  expect(events('base')).toEqual([]);
});

test('partitions: refuses one that logs another key than its table, names it, and prints the statement to run', async () => {
  await begin(`${OTHER}${PARTED}`);
  await master.query('CREATE UNIQUE INDEX p1_body ON p1 (n, body); ALTER TABLE p1 ALTER body SET NOT NULL');
  await equal();
  await master.query('ALTER TABLE p1 REPLICA IDENTITY USING INDEX p1_body; DELETE FROM p WHERE id = 4');
  expect(await refusal()).toMatch(/Partitions of p [\s\S]*ALTER TABLE public\.p1 REPLICA IDENTITY/);
  await master.query('ALTER TABLE p1 REPLICA IDENTITY DEFAULT');
  await equal();
});

test('enum-value-renamed: rows that nobody wrote show the new value', async () => {
  await begin(
    `${OTHER}CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE person (id int PRIMARY KEY, m mood, all_m mood[]); INSERT INTO person VALUES (1, 'sad', '{sad,ok}'), (2, 'ok', '{}')`,
  );
  await master.query("ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'");
  await equal();
});

describe('tables without a key', () => {
  const LOOSE = `CREATE TABLE loose (a int, b text, c numeric(10,2)); ALTER TABLE loose REPLICA IDENTITY FULL;
    INSERT INTO loose SELECT n % 5, CASE WHEN n % 2 = 0 THEN 'x' END, NULL FROM generate_series(1, 100) n;`;

  test('F12: are multisets with equal rows, NULLs and large values, and update and delete one row of several', async () => {
    await begin(OTHER + LOOSE);
    await equal();
    const one = '(SELECT ctid FROM loose WHERE a = 1 LIMIT 1)';
    await master.query(`UPDATE loose SET c = 1.50 WHERE ctid = ${one}`);
    await master.query(`DELETE FROM loose WHERE ctid = ${one}`);
    await master.query('UPDATE loose SET a = a WHERE a = 2');
    await master.query('INSERT INTO loose SELECT NULL, NULL, NULL FROM generate_series(1, 5)');
    await master.query('DELETE FROM loose WHERE ctid = (SELECT ctid FROM loose WHERE a IS NULL LIMIT 1)');
    await equal();
    await master.query('ALTER TABLE loose ALTER b SET STORAGE EXTERNAL');
    await master.query("INSERT INTO loose SELECT 9, repeat('long', 5000), n % 2 FROM generate_series(1, 6) n");
    await master.query('UPDATE loose SET c = c + 1 WHERE ctid = (SELECT ctid FROM loose WHERE a = 9 LIMIT 1)');
    await master.query('DELETE FROM loose WHERE ctid = (SELECT ctid FROM loose WHERE a = 9 LIMIT 1)');
    await equal();
    await master.query('BEGIN; TRUNCATE loose; INSERT INTO loose VALUES (1), (1); COMMIT');
    await equal();
    await equal(system.database('late'));
  });

  test('F12: log changes that a lost slot hid row by row', async () => {
    await begin(OTHER + LOOSE);
    const before = await head();
    await system.feed?.stop('SIGTERM');
    await master.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots');
    await master.query(
      'DELETE FROM loose WHERE ctid = (SELECT ctid FROM loose WHERE a = 1 LIMIT 1); INSERT INTO loose VALUES (2), (2), (7)',
    );
    system.startFeed();
    await equal();
    expect(changesSince(before)).toBe(4);
  });

  test('F12: gain a key, lose it again, and gain a column', async () => {
    await begin(OTHER + LOOSE);
    const also = (n: number) => `INSERT INTO loose VALUES (${n % 3}, 'flows')`;
    await underFlow('ALTER TABLE loose ADD COLUMN extra int DEFAULT 4', also);
    await underFlow(
      'ALTER TABLE loose ADD COLUMN id int GENERATED BY DEFAULT AS IDENTITY; ALTER TABLE loose ADD PRIMARY KEY (id)',
      also,
    );
    await underFlow('ALTER TABLE loose DROP CONSTRAINT loose_pkey; UPDATE loose SET id = 1 WHERE id < 9', also);
    expect(events('base')).toEqual([]);
  });
});

test('F12: refuses tables without REPLICA IDENTITY FULL or without a log, and prints the statements to run', async () => {
  await begin(
    `${OTHER}CREATE TABLE keyless (a int); CREATE SEQUENCE counter; CREATE VIEW seen AS SELECT 1 AS one; CREATE UNLOGGED TABLE fast (id int PRIMARY KEY);
    CREATE TABLE parted (a int) PARTITION BY LIST (a); CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1); ALTER TABLE parted REPLICA IDENTITY FULL;`,
    ['other'],
  );
  await system.feed?.stop('SIGTERM');
  await system.relay?.stop('SIGTERM');
  await appendFile(
    system.config,
    ['keyless', 'counter', 'seen', 'fast', 'parted', 'nowhere'].map((name) => `      ${name}: {}\n`).join(''),
  );
  await system.startRelay();
  system.startFeed();
  const ended = await system.feed?.ended;
  expect(ended?.code).toBe(1);
  expect(ended?.stderr).toContain('ALTER TABLE "public"."keyless" REPLICA IDENTITY FULL;');
  expect(ended?.stderr).toContain('ALTER TABLE "public"."keyless" ADD PRIMARY KEY');
  expect(ended?.stderr).toContain('counter is a sequence');
  expect(ended?.stderr).toContain('seen is a view');
  expect(ended?.stderr).toContain('fast is unlogged');
  expect(ended?.stderr).toContain('ALTER TABLE public.parted_1 REPLICA IDENTITY FULL;');
  for (const name of ['keyless', 'counter', 'seen', 'fast', 'parted', 'nowhere'])
    expect(ended?.stderr).toMatch(new RegExp(`- relay\\.yaml line \\d+: feeds\\.shop\\.tables\\.${name}: .*${name}`));
});

test('publication: adds or drops only the table that relay.yaml lists or no longer lists', async () => {
  await begin(OTHER + ITEM, ['other', 'item']);
  await master.query('CREATE TABLE fresh (id int PRIMARY KEY); INSERT INTO fresh VALUES (1)');
  await system.feed?.stop('SIGTERM');
  await system.relay?.stop('SIGTERM');
  await writeFile(system.config, (await readFile(system.config, 'utf8')).replace('"item": {}', '"fresh": {}'));
  await system.startRelay();
  system.startFeed();
  await equal();
  expect(copied()).toEqual(['fresh']);
  expect(events('base')).toEqual([]);
});

test('lost-key: prints the statement to run when a table loses its key, and resumes when the key is back', async () => {
  await begin(OTHER + ITEM);
  await master.query('ALTER TABLE item DROP CONSTRAINT item_pkey');
  expect(await refusal()).toContain('"item" ADD PRIMARY KEY');
  await master.query('INSERT INTO item VALUES (7000); ALTER TABLE item ADD PRIMARY KEY (id)');
  await equal();
});

test('killed-anywhere: feed and relay are killed during a re-read', async () => {
  await begin(OTHER + ITEM.replace('400', '30000'));
  const stop = flow();
  for (let n = 0; n < 6; n++) {
    await master.query(
      `ALTER TABLE item ADD COLUMN extra${n} text DEFAULT 'e${n}'; UPDATE item SET price = ${n} WHERE id = ${n + 1}`,
    );
    await new Promise((resolve) => setTimeout(resolve, 150 + 120 * n));
    const victim = n % 2 === 0 ? system.feed : system.relay;
    await victim?.stop('SIGKILL');
    if (n % 2 === 1) await system.startRelay();
    else system.startFeed();
  }
  await stop();
  await equal();
});

test('names a table that cannot be published, and keeps streaming the other tables', async () => {
  await begin(OTHER);
  await master.query('CREATE TABLE keyless (a int)');
  await until(
    async () => events('not-ready').length > 0,
    () => 'it is not named',
  );
  expect(String(events('not-ready')[0]?.detail)).toContain('keyless');
  await master.query("INSERT INTO other (body) VALUES ('goes on')");
  await equal();
  // The feed also restarts, and re-reads another table.
  await system.feed?.stop('SIGKILL');
  system.startFeed();
  await master.query("ALTER TABLE other ADD COLUMN more int DEFAULT 7; INSERT INTO other (body) VALUES ('after')");
  await equal();
  await master.query('ALTER TABLE keyless REPLICA IDENTITY FULL; INSERT INTO keyless VALUES (1), (1)');
  await equal();
  await until(
    async () => copied().includes('keyless'),
    () => 'it is not taken up',
  );
  await equal();
});

test('no-slot-left: takes a base copy from a master that has no free slot', async () => {
  await postgres.stop();
  postgres = await startPostgres({ walLevel: 'logical', settings: { max_replication_slots: '1' } });
  cleanup.push(() => postgres.stop());
  master = await connect(postgres.url);
  cleanup.push(() => master.end());
  await begin(OTHER + ITEM);
  await master.query('ALTER TABLE item ADD COLUMN extra int DEFAULT 4');
  await equal();
  expect(events('base').map(({ why }) => why)).toEqual([
    'the master has no slot or connection left for reading altered tables alone',
  ]);
});

test('G6: names file and line when a column of a filter is dropped, and resumes when relay.yaml is corrected', async () => {
  await begin(OTHER + ITEM, ['other', 'item']);
  const listed = await readFile(system.config, 'utf8');
  await system.relay?.stop('SIGTERM');
  await writeFile(system.config, listed.replace('"item": {}', '"item": { where: { note: "note 1" } }'));
  await system.startRelay();
  await system.settled();
  forget();
  await master.query('ALTER TABLE item DROP COLUMN note');
  await until(
    async () => events('fault').length > 0,
    () => 'the feed reports no fault',
  );
  const [fault] = events('fault');
  expect(fault).toMatchObject({ code: 'filter_invalid' });
  expect(String(fault?.message)).toMatch(/relay\.yaml line \d+: feeds\.shop\.tables\.item\.where\.note/);
  await system.relay?.stop('SIGTERM');
  await writeFile(system.config, listed);
  await system.startRelay();
  await equal();
});

describe('same-names: tables that SQLite cannot distinguish', () => {
  const TWO = `${OTHER} CREATE TABLE "A" (id int PRIMARY KEY, body text); CREATE TABLE a (LIKE "A" INCLUDING ALL);
    INSERT INTO "A" VALUES (1, 'upper'); INSERT INTO a VALUES (1, 'lower'), (2, 'lower');`;
  const BOTH = '"public"."A" and "public"."a" cannot both stand in SQLite';

  test.each([
    ['all tables', null],
    ['listed tables', ['A', 'a', 'other']],
  ])('are refused by name at the start: %s', async (_, tables) => {
    await master.query(TWO);
    system = await System.start(postgres.url, tables);
    cleanup.push(() => system.stop());
    const ended = await system.feed?.ended;
    expect(ended?.code).toBe(1);
    expect(ended?.stderr).toContain(`source_not_ready: The master is not ready:\n- ${BOTH}`);
  });

  test('are accepted when relay.yaml lists only one of them', async () => {
    await begin(TWO, ['A', 'other']);
    await equal();
    await master.query('UPDATE "A" SET body = \'b\'; DELETE FROM a');
    await equal();
  });

  test('are named when they appear later, and left out when a rename makes them equal', async () => {
    await begin(`${OTHER} CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)`);
    await master.query('CREATE TABLE "A" (id int PRIMARY KEY); INSERT INTO "A" VALUES (1); INSERT INTO a VALUES (2)');
    await until(
      async () => events('not-ready').length > 0,
      () => 'it is not named',
    );
    expect(String(events('not-ready')[0]?.detail)).toContain(BOTH);
    const before = await head();
    await master.query("INSERT INTO other (body) VALUES ('goes on')");
    await equal();
    expect(await head()).toBe(before + 1);
    await master.query('DROP TABLE "A"; ALTER TABLE b RENAME TO "A"; INSERT INTO "A" VALUES (3)');
    const named = events('not-ready').length;
    await until(
      async () => events('not-ready').length > named,
      () => 'it is not named',
    );
    expect(String(events('not-ready').at(-1)?.detail)).toContain(BOTH);
    await master.query('ALTER TABLE "A" RENAME TO c');
    await equal();
  });

  test('include a table whose name equals the schema and name of another', async () => {
    await begin(
      `${OTHER} CREATE SCHEMA s; CREATE TABLE s.other (LIKE other INCLUDING ALL); INSERT INTO s.other VALUES (1, 'of s')`,
    );
    const bodies = () => {
      const db = new Sqlite(system.database(), { readonly: true });
      const found = ['other', 's.other'].map((name) =>
        db.prepare(`SELECT body FROM "${name}" WHERE id = 1`).pluck().get(),
      );
      db.close();
      return found;
    };
    expect(bodies()).toEqual(['row 1', 'of s']);
    await master.query("UPDATE s.other SET body = 'changed'");
    await system.settled();
    await system.pull();
    expect(bodies()).toEqual(['row 1', 'changed']);
    await master.query('CREATE TABLE "S.Other" (id int PRIMARY KEY)');
    await until(
      async () => events('not-ready').length > 0,
      () => 'it is not named',
    );
    expect(String(events('not-ready')[0]?.detail)).toContain('"public"."S.Other" and "s"."other" cannot both stand');
  });
});
