import { createRequire } from 'node:module';
import type BetterSqlite3 from 'better-sqlite3';
import { describe, expect, test } from 'vitest';
import { OTHER, useLab } from './schema-lab.ts';

const Sqlite = createRequire(import.meta.url)('better-sqlite3') as typeof BetterSqlite3;

/** Tables of the master whose names differ only in case, which SQLite ignores. */
const lab = useLab();

describe('tables whose names differ only in case', () => {
  const TWO = `${OTHER} CREATE TABLE "A" (id int PRIMARY KEY, body text); CREATE TABLE a (LIKE "A" INCLUDING ALL);
    INSERT INTO "A" VALUES (1, 'upper'); INSERT INTO a VALUES (1, 'lower'), (2, 'lower');`;
  const BOTH = '"public"."A" and "public"."a" cannot both be tables in SQLite';

  test.each([
    ['all tables', null],
    ['listed tables', ['A', 'a', 'other']],
  ])('the feed exits at the start with an error that names two clashing tables (%s)', async (_, tables) => {
    await lab.start(TWO, tables);
    const ended = await lab.system.feed?.ended;
    expect(ended?.code).toBe(1);
    expect(ended?.stderr).toContain(`source_not_ready: The master is not ready:\n- ${BOTH}`);
  });

  test('the feed accepts one of two clashing tables if relay.yaml lists only that one', async () => {
    await lab.begin(TWO, ['A', 'other']);
    await lab.equal();
    await lab.master.query('UPDATE "A" SET body = \'b\'; DELETE FROM a');
    await lab.equal();
  });

  test('the feed reports clashing tables that appear later, and keeps streaming the other tables', async () => {
    await lab.begin(`${OTHER} CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)`);
    await lab.master.query(
      'CREATE TABLE "A" (id int PRIMARY KEY); INSERT INTO "A" VALUES (1); INSERT INTO a VALUES (2)',
    );
    await lab.untilEvent('not-ready');
    expect(String(lab.events('not-ready')[0]?.detail)).toContain(BOTH);
    const before = await lab.head();
    await lab.master.query("INSERT INTO other (body) VALUES ('still streams')");
    await lab.equal();
    expect(await lab.head()).toBe(before + 1);
    await lab.master.query('DROP TABLE "A"; ALTER TABLE b RENAME TO "A"; INSERT INTO "A" VALUES (3)');
    const named = lab.events('not-ready').length;
    await lab.untilEvent('not-ready', named + 1);
    expect(String(lab.events('not-ready').at(-1)?.detail)).toContain(BOTH);
    await lab.master.query('ALTER TABLE "A" RENAME TO c');
    await lab.equal();
  });

  test('tables of another schema do not clash, unless the name of a table contains that schema', async () => {
    await lab.begin(
      `${OTHER} CREATE SCHEMA s; CREATE TABLE s.other (LIKE other INCLUDING ALL); INSERT INTO s.other VALUES (1, 'of s')`,
    );
    const bodies = () => {
      const db = new Sqlite(lab.system.database(), { readonly: true });
      const found = ['other', 's.other'].map((name) =>
        db.prepare(`SELECT body FROM "${name}" WHERE id = 1`).pluck().get(),
      );
      db.close();
      return found;
    };
    expect(bodies()).toEqual(['row 1', 'of s']);
    await lab.master.query("UPDATE s.other SET body = 'changed'");
    await lab.system.settled();
    await lab.system.pull();
    expect(bodies()).toEqual(['row 1', 'changed']);
    await lab.master.query('CREATE TABLE "S.Other" (id int PRIMARY KEY)');
    await lab.untilEvent('not-ready');
    expect(String(lab.events('not-ready')[0]?.detail)).toContain(
      '"public"."S.Other" and "s"."other" cannot both be tables in SQLite',
    );
  });
});
