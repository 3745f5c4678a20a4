import { connect } from '@tidemark/testing/oracle';
import { expect, test } from 'vitest';
import { OTHER, useLab } from './schema-lab.ts';

/** Rules F10 and F15: the partitions of a table change, and rows move between them. */
const lab = useLab();

test("attaching, detaching, dropping and truncating a partition changes the root table's rows", async () => {
  await lab.begin(`${OTHER}CREATE TABLE event (day date, id int, body text, PRIMARY KEY (day, id)) PARTITION BY RANGE (day);
    CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
    CREATE TABLE event_2 PARTITION OF event FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
    CREATE TABLE event_3 PARTITION OF event FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');
    INSERT INTO event SELECT date '2026-01-01' + n, n, 'event ' || n FROM generate_series(1, 80) n`);
  await lab.master.query('DROP TABLE event_1');
  await lab.equal();
  await lab.master.query('TRUNCATE event_2');
  await lab.equal();
  await lab.master.query(
    `CREATE TABLE event_4 (day date NOT NULL, id int NOT NULL, body text, PRIMARY KEY (day, id)); INSERT INTO event_4 VALUES ('2026-04-02', 1, 'was there');`,
  );
  await lab.equal();
  await lab.master.query("ALTER TABLE event ATTACH PARTITION event_4 FOR VALUES FROM ('2026-04-01') TO ('2026-05-01')");
  await lab.equal();
  await lab.master.query('ALTER TABLE event DETACH PARTITION event_3');
  await lab.equal();
  expect(lab.events('base-copy')).toEqual([]);
});

const PARTED = `CREATE TABLE p (id int, n int, body text, PRIMARY KEY (id, n)) PARTITION BY RANGE (n);
  CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
  CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20) PARTITION BY LIST (n);
  CREATE TABLE p2_10 PARTITION OF p2 FOR VALUES IN (10);
  CREATE TABLE "P2 rest" (body text, n int NOT NULL, gone int, id int NOT NULL, PRIMARY KEY (id, n)); ALTER TABLE "P2 rest" DROP COLUMN gone;
  ALTER TABLE p2 ATTACH PARTITION "P2 rest" DEFAULT;
  INSERT INTO p SELECT n, n, 'row ' || n FROM generate_series(0, 19) n;`;

test('streams changes of every partition, even while another transaction is open', async () => {
  await lab.begin(`${OTHER}${PARTED}`);
  const open = await connect(lab.postgres.url);
  lab.cleanup.push(() => open.end());
  await open.query("BEGIN; INSERT INTO other (body) VALUES ('open')");
  const before = await lab.head();
  for (let n = 0; n < 20; n++) await lab.master.query('INSERT INTO p VALUES ($1, $2)', [100 + n, n]);
  await lab.master.query("UPDATE p SET body = 'changed' WHERE id = 15");
  await lab.master.query('UPDATE p SET n = 3 WHERE id = 16');
  await lab.master.query('DELETE FROM p WHERE id = 17');
  await lab.system.settled();
  expect((await lab.head()) - before).toBe(23);
  expect(lab.events('altered').concat(lab.events('re-read'), lab.events('waiting-for-open-transactions'))).toEqual([]);
  await open.query('COMMIT');
  await lab.equal();
});

test('a partition attached later arrives with its rows, even while the feed is down', async () => {
  await lab.begin(`${OTHER}${PARTED}`);
  const attach = (from: number) => `CREATE TABLE p_${from} (LIKE p INCLUDING ALL);
    INSERT INTO p_${from} VALUES (1, ${from}, 'before'), (2, ${from}, 'before'); BEGIN;
    ALTER TABLE p ATTACH PARTITION p_${from} FOR VALUES FROM (${from}) TO (${from + 10}); COMMIT;
    UPDATE p SET body = 'after' WHERE id = 1; INSERT INTO p VALUES (3, ${from}, 'after')`;
  await lab.master.query(attach(20));
  await lab.equal();
  await lab.system.feed?.stop('SIGTERM');
  await lab.master.query(attach(30));
  lab.system.startFeed();
  await lab.equal();
  expect(lab.copied()).toEqual(['p']);
  expect(lab.events('base-copy')).toEqual([]);
});

test('a partition that was created and dropped while the feed was down leaves no rows', async () => {
  await lab.begin(`${OTHER}${PARTED}`);
  const sql = `CREATE TABLE p_x PARTITION OF p FOR VALUES FROM (50) TO (60); INSERT INTO p VALUES (1, 50), (1, 1000 % 7); DROP TABLE p_x`;
  for (const also of ['', 'ALTER TABLE other ADD COLUMN extra int']) {
    await lab.system.feed?.stop('SIGTERM');
    await lab.master.query('DELETE FROM p WHERE id = 1');
    await lab.master.query(sql);
    await lab.master.query(also);
    lab.system.startFeed();
    await lab.equal();
  }
  expect(lab.events('base-copy')).toEqual([]);
});

test('names a partition that identifies rows by other columns than its table, and prints the statements to run', async () => {
  await lab.begin(`${OTHER}${PARTED}`);
  await lab.master.query('CREATE UNIQUE INDEX p1_body ON p1 (n, body); ALTER TABLE p1 ALTER body SET NOT NULL');
  await lab.equal();
  await lab.master.query('ALTER TABLE p1 REPLICA IDENTITY USING INDEX p1_body; DELETE FROM p WHERE id = 4');
  expect(await lab.troubles()).toMatch(
    /partitions of p does not contain its key[\s\S]*ALTER TABLE public\.p1 REPLICA IDENTITY/,
  );
  await lab.master.query('ALTER TABLE p1 REPLICA IDENTITY DEFAULT');
  await lab.equal();
});
