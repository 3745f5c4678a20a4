import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { connect } from '@tidemark/testing/oracle';
import { startPostgres } from '@tidemark/testing/postgres/embedded';
import { run, until } from '@tidemark/testing/processes';
import { System } from '@tidemark/testing/system';
import type BetterSqlite3 from 'better-sqlite3';
import type pg from 'pg';
import { afterEach, expect, test } from 'vitest';

/**
 * F17, G6: a filter's column is renamed at the master, and relay.yaml is corrected. Terminals keep their rows meanwhile,
 * and no row reaches another branch.
 */

const Sqlite = createRequire(import.meta.url)('better-sqlite3') as typeof BetterSqlite3;

const OLD =
  'shop: { tables: { item: { where: { branch: $branch }, columns: [id, branch, name], indexes: [[branch]] }, other: {} } }';
const NEW = OLD.replaceAll(/\bbranch\b(?=[:,\]])/g, 'branch_no');

const cleanup: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of cleanup.splice(0).reverse()) await stop();
});

let master: pg.Client;
let system: System;

async function begin(): Promise<void> {
  const postgres = await startPostgres({ walLevel: 'logical' });
  cleanup.push(() => postgres.stop());
  master = await connect(postgres.url);
  cleanup.push(() => master.end());
  await master.query(`CREATE TABLE item (id int PRIMARY KEY, branch int, name text, secret text);
    CREATE TABLE other (id int PRIMARY KEY, body text); INSERT INTO other VALUES (1, 'one');
    INSERT INTO item VALUES (1, 7, 'a', 's'), (2, 7, 'b', 's'), (3, 8, 'c', 's')`);
  const terminals = { seven: { branch: '7' }, eight: { branch: '8' }, late: { branch: '7' } };
  system = await System.start(postgres.url, null, { feed: OLD, terminals });
  cleanup.push(() => system.stop());
  await system.settled();
  await holds({ seven: [1, 2], eight: [3] }, 'branch');
}

/** Pulls, and compares the ids of the rows and the name of the filter's column at each terminal. */
async function holds(expected: Record<string, number[]>, column: string): Promise<void> {
  for (const [name, ids] of Object.entries(expected)) {
    await system.pull(system.database(name), [], name);
    const db = new Sqlite(system.database(name), { readonly: true });
    try {
      const rows = db.prepare(`SELECT id, ${column} AS branch FROM item ORDER BY id`).all() as { id: number }[];
      expect(rows.map(({ id }) => id)).toEqual(ids);
      const columns = db.prepare("SELECT name FROM pragma_table_info('item')").pluck().all();
      expect(columns).toEqual(['id', column, 'name']);
    } finally {
      db.close();
    }
  }
}

const writeFilter = async (from: string, to: string) =>
  writeFile(system.config, (await readFile(system.config, 'utf8')).replace(from, to));

/** Renames the column, and waits until the feed has set the table aside. */
async function rename(): Promise<void> {
  await master.query("ALTER TABLE item RENAME COLUMN branch TO branch_no; INSERT INTO item VALUES (4, 7, 'd', 's')");
  await until(
    async () => system.events('set-aside').some(({ reason }) => reason === 'filter_invalid'),
    () => `not set aside: ${system.feed?.stdout}`,
  );
  await master.query("INSERT INTO other VALUES (2, 'two')");
  await system.settled();
  await holds({ seven: [1, 2], eight: [3] }, 'branch');
}

/** Corrects relay.yaml. Between the restart of the relay and the next session of the feed, terminals keep their rows. */
async function correct(): Promise<void> {
  await system.feed?.stop('SIGTERM');
  await system.relay?.stop('SIGTERM');
  await writeFilter(OLD, NEW);
  await system.startRelay();
  expect(system.relay?.stdout).toContain('"event":"filter-waits"');
  expect(system.relay?.stdout).toMatch(/"table":"item","at":"relay\.yaml line 4/);
  await holds({ seven: [1, 2], eight: [3], late: [1, 2] }, 'branch');
  // A second restart meanwhile changes nothing.
  await system.relay?.stop('SIGKILL');
  await system.startRelay();
  await holds({ seven: [1, 2], eight: [3], late: [1, 2] }, 'branch');
  system.startFeed();
  await system.settled();
  await holds({ seven: [1, 2, 4], eight: [3], late: [1, 2, 4] }, 'branch_no');
  await master.query("INSERT INTO item VALUES (5, 8, 'e', 's')");
  await system.settled();
  await system.relay?.stop('SIGTERM');
  await system.startRelay();
  expect(system.relay?.stdout).not.toContain('filter-waits');
  await holds({ seven: [1, 2, 4], eight: [3, 5], late: [1, 2, 4] }, 'branch_no');
}

test('filter-column-renamed: the master first, then relay.yaml', async () => {
  await begin();
  await rename();
  await correct();
});

test('filter-column-renamed: relay.yaml first is refused with the order to follow, which then ends well', async () => {
  await begin();
  await system.relay?.stop('SIGTERM');
  await writeFilter(OLD, NEW);
  const refused = await run('relay', ['serve', '--config', system.config]);
  expect(refused.code).toBe(78);
  expect(refused.stderr).toMatch(/has no column branch_no.*start the relay with the previous relay\.yaml first/);
  await writeFilter(NEW, OLD);
  await system.startRelay();
  await system.settled();
  await rename();
  await correct();
});

test('filter-column-renamed: another filter than the renamed one is refused', async () => {
  await begin();
  await rename();
  await system.relay?.stop('SIGTERM');
  await writeFilter(OLD, NEW.replace('branch_no: $branch', 'branch_no: $branch, secret: s'));
  const refused = await run('relay', ['serve', '--config', system.config]);
  expect([refused.code, refused.stderr]).toEqual([78, expect.stringContaining('has no column branch_no')]);
});
