import { readFile, writeFile } from 'node:fs/promises';
import { connect } from '@tidemark/testing/oracle';
import { expect, test } from 'vitest';
import { ITEM, OTHER, useLab } from './schema-lab.ts';

/** Rules F10 and F11: tables of the master are altered while the feed runs and while it is down. */
const lab = useLab();

/** Schema changes, in order, each with the most changes that it may add to the log. `item` has 400 rows. */
const CHANGES: [what: string, sql: string, most: number][] = [
  ['a column is added', 'ALTER TABLE item ADD COLUMN extra int', 1],
  ['a column is added with a default', "ALTER TABLE item ADD COLUMN stock text DEFAULT 'none'", 401],
  ['a column is renamed', 'ALTER TABLE item RENAME COLUMN note TO remark', 1],
  ['a column is dropped', 'ALTER TABLE item DROP COLUMN name', 1],
  ['a column is dropped and created again', 'ALTER TABLE item DROP COLUMN remark, ADD COLUMN remark text', 401],
  ['a type is widened', 'ALTER TABLE item ALTER COLUMN id TYPE bigint', 1],
  [
    'values are rewritten without a change of type',
    'ALTER TABLE item ALTER price TYPE numeric(10,2) USING price * 2',
    401,
  ],
  ['a type is changed', "ALTER TABLE item ALTER COLUMN price TYPE text USING 'EUR ' || price", 401],
  ['a default alone', "ALTER TABLE item ALTER COLUMN price SET DEFAULT 'x'", 0],
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
  'F10: re-reads only the table with altered %s; renames keep rows, and unchanged rows do not enter the log',
  async (_, from, to) => {
    await lab.begin(OTHER + ITEM);
    const { epoch } = (await lab.system.status()).head ?? {};
    for (const [what, sql, most] of CHANGES.slice(from, to)) {
      lab.forget();
      const before = await lab.head();
      await lab.master.query(sql);
      await lab.equal();
      expect(lab.changesSince(before), what).toBeLessThanOrEqual(most);
      expect(lab.copied(), what).not.toContain('other');
      expect(lab.events('base-copy'), what).toEqual([]);
    }
    expect((await lab.system.status()).head?.epoch).toBe(epoch);
    await lab.equal(lab.system.database('late'));
  },
);

test('schema-change-under-flow: applies each kind of change while rows change in the same and in another table', async () => {
  await lab.begin(OTHER + ITEM);
  lab.forget();
  const stop = lab.flow(
    (n) =>
      `INSERT INTO item (id, price) VALUES (${1000 + n}, 1) ON CONFLICT DO NOTHING; UPDATE item SET price = price WHERE id % 50 = ${n % 50}; DELETE FROM item WHERE id = ${n}`,
  );
  for (const [, sql] of CHANGES.filter(([what]) => !what.startsWith('the table is'))) {
    await lab.master.query(sql.replaceAll('article', 'item'));
    await new Promise((resolve) => setTimeout(resolve, 1500));
  }
  await stop();
  await lab.equal();
  expect(lab.events('base-copy')).toEqual([]);
  expect(lab.copied()).not.toContain('other');
});

test('schema-change-under-flow: applies transactions that stay open across the change', async () => {
  await lab.begin(`${OTHER}${ITEM}${ITEM.replaceAll('item', 'thing')}`);
  const stop = lab.flow();
  const open = await connect(lab.postgres.url);
  lab.cleanup.push(() => open.end());
  await open.query("BEGIN; INSERT INTO other (body) VALUES ('open'); UPDATE thing SET note = 'open' WHERE id < 9");
  await lab.master.query(
    "ALTER TABLE item ADD COLUMN extra text DEFAULT 'e'; UPDATE item SET name = 'after' WHERE id = 5",
  );
  await lab.untilEvent('waiting-for-open-transactions');
  await open.query("DELETE FROM thing WHERE id = 1; UPDATE item SET note = 'late' WHERE id = 6; COMMIT");
  // One transaction alters tables, writes rows and rolls back to a savepoint. Another one rolls back completely.
  await open.query(
    'BEGIN; ALTER TABLE thing ADD COLUMN a int DEFAULT 7; SAVEPOINT s; ALTER TABLE thing ADD COLUMN b int; INSERT INTO thing VALUES (5001)',
  );
  await open.query('ROLLBACK TO s; INSERT INTO thing VALUES (5000); COMMIT');
  await open.query('BEGIN; ALTER TABLE other ADD COLUMN never int; ROLLBACK');
  await stop();
  await lab.equal();
  expect(lab.copied()).not.toContain('other');
});

test('schema-change-while-down: applies changes of all kinds that happened while the feed was down', async () => {
  await lab.begin(`${OTHER}${ITEM}${ITEM.replaceAll('item', 'thing')}${ITEM.replaceAll('item', 'salt')}${ITEM.replaceAll('item', 'sugar')}
    CREATE TABLE gone (id int PRIMARY KEY); CREATE TABLE again (id int PRIMARY KEY, n int); INSERT INTO again VALUES (1, 1), (2, 2)`);
  await lab.system.feed?.stop('SIGTERM');
  const before = await lab.head();
  await lab.master.query("INSERT INTO other (body) VALUES ('before')");
  await lab.master.query(
    'UPDATE item SET price = 7 WHERE id < 20; ALTER TABLE item RENAME TO article; ALTER TABLE article RENAME COLUMN note TO remark',
  );
  await lab.master.query('ALTER TABLE thing ALTER price TYPE numeric(10,2) USING price + 1');
  await lab.master.query("UPDATE salt SET name = 'l'; UPDATE sugar SET name = 'r'");
  await lab.master.query(
    'ALTER TABLE salt RENAME TO middle; ALTER TABLE sugar RENAME TO salt; ALTER TABLE middle RENAME TO sugar',
  );
  await lab.master.query('DROP TABLE gone; CREATE TABLE fresh (id int PRIMARY KEY); INSERT INTO fresh VALUES (1)');
  await lab.master.query(
    'DROP TABLE again; CREATE TABLE again (id int PRIMARY KEY, n int); INSERT INTO again VALUES (2, 2), (3, 3)',
  );
  await lab.master.query("INSERT INTO other (body) VALUES ('after')");
  lab.system.startFeed();
  await lab.equal();
  expect(lab.events('base-copy')).toEqual([]);
  expect(lab.copied().sort()).toEqual(['again', 'article', 'fresh', 'salt', 'sugar', 'thing']);
  // The renamed table sends only its updated rows. One of the two tables that swapped names sends all rows.
  expect(lab.changesSince(before)).toBeLessThan(20 + 400 + 2 * 400 + 400 + 20);
});

test('altered-and-back: re-reads a table that was altered and then altered back', async () => {
  await lab.begin(OTHER + ITEM);
  await lab.master.query('ALTER TABLE item DROP COLUMN note');
  await lab.master.query('INSERT INTO item (id) VALUES (1001)');
  await lab.master.query('ALTER TABLE item ADD COLUMN note text');
  await lab.master.query('UPDATE item SET price = 3 WHERE id = 4');
  await lab.equal();
  await lab.system.feed?.stop('SIGTERM');
  await lab.master.query('ALTER TABLE item RENAME COLUMN price TO cost; UPDATE item SET cost = 4 WHERE id = 4');
  await lab.master.query('ALTER TABLE item RENAME COLUMN cost TO price');
  await lab.master.query("INSERT INTO other (body) VALUES ('x')");
  lab.system.startFeed();
  await lab.equal();
  expect(lab.events('base-copy')).toEqual([]);
  expect(lab.copied()).not.toContain('other');
});

test('renames: follows swapped tables, a chain of renames, and swapped columns while rows change', async () => {
  await lab.begin(`${OTHER}${ITEM}${ITEM.replaceAll('item', 'thing')}`);
  await lab.underFlow(
    `BEGIN; ALTER TABLE item RENAME TO x; ALTER TABLE thing RENAME TO item; ALTER TABLE x RENAME TO thing; COMMIT;
     UPDATE item SET price = 1 WHERE id = 1; UPDATE thing SET price = 2 WHERE id = 2`,
  );
  await lab.underFlow('BEGIN; ALTER TABLE item RENAME TO third; ALTER TABLE thing RENAME TO item; COMMIT');
  await lab.system.feed?.stop('SIGTERM');
  const before = await lab.head();
  await lab.master.query(
    'BEGIN; ALTER TABLE item RENAME name TO x; ALTER TABLE item RENAME note TO name; ALTER TABLE item RENAME x TO note; COMMIT',
  );
  lab.system.startFeed();
  await lab.equal();
  expect(lab.changesSince(before)).toBe(1);
  expect(lab.copied()).toEqual(['item']);
});

test('enum-value-renamed: existing rows show the new name without an update', async () => {
  await lab.begin(
    `${OTHER}CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE person (id int PRIMARY KEY, m mood, all_m mood[]); INSERT INTO person VALUES (1, 'sad', '{sad,ok}'), (2, 'ok', '{}')`,
  );
  await lab.master.query("ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'");
  await lab.equal();
});

test('listed-tables: adds or drops a table with its entry in relay.yaml, and leaves the other tables unchanged', async () => {
  await lab.begin(OTHER + ITEM, ['other', 'item']);
  await lab.master.query('CREATE TABLE fresh (id int PRIMARY KEY); INSERT INTO fresh VALUES (1)');
  await lab.system.feed?.stop('SIGTERM');
  await lab.system.relay?.stop('SIGTERM');
  await writeFile(lab.system.config, (await readFile(lab.system.config, 'utf8')).replace('"item": {}', '"fresh": {}'));
  await lab.system.startRelay();
  lab.system.startFeed();
  await lab.equal();
  expect(lab.copied()).toEqual(['fresh']);
  expect(lab.events('base-copy')).toEqual([]);
});

test('killed-anywhere: re-reads tables although feed and relay are killed meanwhile', async () => {
  await lab.begin(OTHER + ITEM.replace('400', '30000'));
  const stop = lab.flow();
  for (let n = 0; n < 6; n++) {
    await lab.master.query(
      `ALTER TABLE item ADD COLUMN extra${n} text DEFAULT 'e${n}'; UPDATE item SET price = ${n} WHERE id = ${n + 1}`,
    );
    await new Promise((resolve) => setTimeout(resolve, 150 + 120 * n));
    const victim = n % 2 === 0 ? lab.system.feed : lab.system.relay;
    await victim?.stop('SIGKILL');
    if (n % 2 === 1) await lab.system.startRelay();
    else lab.system.startFeed();
  }
  await stop();
  await lab.equal();
});

test('no-slot-left: takes a base copy instead of a re-read when the master has no free slot', async () => {
  await lab.startMaster({ max_replication_slots: '1' });
  await lab.begin(OTHER + ITEM);
  await lab.master.query('ALTER TABLE item ADD COLUMN extra int DEFAULT 4');
  await lab.equal();
  expect(lab.events('base-copy').map(({ why }) => why)).toEqual([
    'the master has no free replication slot or connection for a re-read',
  ]);
});

test('G6: sets a table aside whose filter column is dropped, names file and line, and follows it when relay.yaml is corrected', async () => {
  await lab.begin(OTHER + ITEM, ['other', 'item']);
  const listed = await readFile(lab.system.config, 'utf8');
  await lab.system.relay?.stop('SIGTERM');
  await writeFile(lab.system.config, listed.replace('"item": {}', '"item": { where: { note: "note 1" } }'));
  await lab.system.startRelay();
  await lab.system.settled();
  lab.forget();
  await lab.master.query('ALTER TABLE item DROP COLUMN note');
  const [aside] = await lab.untilEvent('set-aside');
  expect(aside).toMatchObject({ table: 'item', reason: 'filter_invalid' });
  expect(String(aside?.detail)).toMatch(/relay\.yaml line \d+: feeds\.shop\.tables\.item\.where\.note/);
  // The other table follows meanwhile.
  await lab.master.query("INSERT INTO other (body) VALUES ('still streams')");
  await lab.system.settled();
  await lab.system.relay?.stop('SIGTERM');
  await writeFile(lab.system.config, listed);
  await lab.system.startRelay();
  await lab.equal();
});
