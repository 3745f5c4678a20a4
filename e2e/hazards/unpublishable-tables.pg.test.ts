import { appendFile } from 'node:fs/promises';
import { until } from '@tidemark/testing/processes';
import { expect, test } from 'vitest';
import { ITEM, OTHER, useLab } from './schema-lab.ts';

/** The feed names tables that cannot be published, with the statements to run, and keeps streaming the others. */
const lab = useLab();

test('F12: leaves out listed tables without a key and relations without a log, names each with file and line, and streams the others', async () => {
  await lab.begin(
    `${OTHER}CREATE TABLE keyless (a int); CREATE SEQUENCE counter; CREATE VIEW seen AS SELECT 1 AS one; CREATE UNLOGGED TABLE fast (id int PRIMARY KEY);
    CREATE TABLE parted (a int) PARTITION BY LIST (a); CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1); ALTER TABLE parted REPLICA IDENTITY FULL;`,
    ['other'],
  );
  await lab.system.feed?.stop('SIGTERM');
  await lab.system.relay?.stop('SIGTERM');
  await appendFile(
    lab.system.config,
    ['keyless', 'counter', 'seen', 'fast', 'parted', 'nowhere'].map((name) => `      ${name}: {}\n`).join(''),
  );
  await lab.system.startRelay();
  lab.system.startFeed();
  await lab.untilEvent('not-ready');
  const detail = String(lab.events('not-ready')[0]?.detail);
  expect(detail).toContain('ALTER TABLE "public"."keyless" REPLICA IDENTITY FULL;');
  expect(detail).toContain('ALTER TABLE "public"."keyless" ADD PRIMARY KEY');
  expect(detail).toContain('counter is a sequence');
  expect(detail).toContain('seen is a view');
  expect(detail).toContain('fast is unlogged');
  expect(detail).toContain('ALTER TABLE public.parted_1 REPLICA IDENTITY FULL;');
  for (const name of ['keyless', 'counter', 'seen', 'fast', 'parted', 'nowhere'])
    expect(detail).toMatch(new RegExp(`^relay\\.yaml line \\d+: feeds\\.shop\\.tables\\.${name}: .*${name}`, 'm'));
  await lab.master.query("INSERT INTO other (body) VALUES ('still streams')");
  await lab.equal();
});

test('lost-key: names the statements to run when a table loses its key, and the table follows when it has a key again', async () => {
  await lab.begin(OTHER + ITEM);
  await lab.master.query('ALTER TABLE item DROP CONSTRAINT item_pkey');
  expect(await lab.troubles()).toContain('"item" ADD PRIMARY KEY');
  await lab.master.query('INSERT INTO item VALUES (7000); ALTER TABLE item ADD PRIMARY KEY (id)');
  await lab.equal();
});

test('names a new table that cannot be published, and keeps streaming the others', async () => {
  await lab.begin(OTHER);
  await lab.master.query('CREATE TABLE keyless (a int)');
  await lab.untilEvent('not-ready');
  expect(String(lab.events('not-ready')[0]?.detail)).toContain('keyless');
  await lab.master.query("INSERT INTO other (body) VALUES ('still streams')");
  await lab.equal();
  // The unpublishable table prevents neither a restart of the feed nor the re-read of another table.
  await lab.system.feed?.stop('SIGKILL');
  lab.system.startFeed();
  await lab.master.query("ALTER TABLE other ADD COLUMN more int DEFAULT 7; INSERT INTO other (body) VALUES ('after')");
  await lab.equal();
  await lab.master.query('ALTER TABLE keyless REPLICA IDENTITY FULL; INSERT INTO keyless VALUES (1), (1)');
  await lab.equal();
  await until(
    async () => lab.copied().includes('keyless'),
    () => 'the table is not published',
  );
  await lab.equal();
});
