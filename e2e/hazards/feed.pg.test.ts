import { cpSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { FaultProxy } from '@tidemark/testing/fault-proxy';
import { connect, differences } from '@tidemark/testing/oracle';
import { type EmbeddedPostgres, startPostgres } from '@tidemark/testing/postgres/embedded';
import { run, start, until } from '@tidemark/testing/processes';
import { System } from '@tidemark/testing/system';
import type pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const cleanup: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of cleanup.splice(0).reverse()) await stop();
});

const COLUMNS: Parameters<typeof differences>[3] = [
  { name: 'id', rule: 'integer' },
  { name: 'body', rule: 'text' },
  { name: 'n', rule: 'integer' },
];
const TABLE = 'CREATE TABLE note (id int PRIMARY KEY, body text, n int)';

describe('a master that is ready', () => {
  let postgres: EmbeddedPostgres;
  let master: pg.Client;
  let system: System;
  beforeEach(async () => {
    postgres = await startPostgres({ walLevel: 'logical' });
    cleanup.push(() => postgres.stop());
    master = await connect(postgres.url);
    cleanup.push(() => master.end());
    await master.query(TABLE);
    await master.query("INSERT INTO note SELECT n, 'note ' || n, n FROM generate_series(1, 50) n");
    system = await System.start(postgres.url);
    cleanup.push(() => system.stop());
    await system.settled();
  });

  const confirmed = async () => {
    const { rows } = await master.query('SELECT confirmed_flush_lsn::text AS at FROM pg_replication_slots');
    return (rows[0] as { at: string }).at;
  };
  const lsn = async () =>
    ((await master.query('SELECT pg_current_wal_flush_lsn()::text AS at')).rows[0] as { at: string }).at;
  const isBefore = async (a: string, b: string) =>
    ((await master.query('SELECT $1::pg_lsn < $2::pg_lsn AS yes', [a, b])).rows[0] as { yes: string }).yes === 't';
  const equal = async () => {
    await system.settled();
    await system.pull();
    expect(await differences(master, system.database(), 'note', COLUMNS)).toEqual([]);
  };

  /** Restarts the feed behind a proxy that can break its connection to the relay. */
  async function throughProxy(): Promise<FaultProxy> {
    await system.feed?.stop('SIGKILL');
    const faultProxy = await FaultProxy.start(system.url);
    cleanup.push(() => faultProxy.stop());
    const feed = start(
      'feed',
      ['run', '--feed', 'shop', '--relay', faultProxy.url, '--token-file', system.tokenFile('feed')],
      {
        TIDEMARK_SOURCE: postgres.url,
      },
    );
    system.feed = feed;
    cleanup.push(() => feed.stop('SIGKILL'));
    await until(
      async () => feed.stdout.includes('"streaming"'),
      () => `the feed does not stream: ${feed.stdout}${feed.stderr}`,
    );
    return faultProxy;
  }

  /** Waits until the master has received `count` more status messages from the feed. */
  async function statusesReceived(count: number): Promise<void> {
    const seen = new Set<unknown>();
    await until(
      async () => {
        const { rows } = await master.query('SELECT reply_time::text AS at FROM pg_stat_replication');
        for (const { at } of rows as { at: string | null }[]) seen.add(at);
        return seen.size > count;
      },
      () => `the feed sent ${seen.size} statuses`,
      120_000,
    );
  }

  const faults = () => system.events('fault').length;

  test('acknowledged-before-durable: confirms to the master only positions that the relay has acknowledged', async () => {
    const faultProxy = await throughProxy();
    faultProxy.trouble = { kind: 'silence' };
    const before = await lsn();
    await master.query("INSERT INTO note VALUES (100, 'on its way', 1)");
    await master.query('SELECT pg_switch_wal()');
    await statusesReceived(3);
    expect(await isBefore(await confirmed(), await lsn())).toBe(true);
    const at = await confirmed();
    expect((await isBefore(at, before)) || at === before).toBe(true);
    await system.feed?.stop('SIGKILL');
    system.startFeed();
    await equal();
  });

  test('handler-error-does-not-confirm: resends a refused batch, even after later transactions', async () => {
    const faultProxy = await throughProxy();
    faultProxy.trouble = { kind: 'answer', status: 500, body: 'broken' };
    const before = await lsn();
    for (let n = 0; n < 5; n++) {
      await master.query('INSERT INTO note VALUES ($1, $2, $3)', [200 + n, 'refused', n]);
      const before = faults();
      if (n % 2 === 0)
        await until(
          async () => faults() > before,
          () => 'the batch was not refused',
          120_000,
        );
    }
    const at = await confirmed();
    expect((await isBefore(at, before)) || at === before).toBe(true);
    faultProxy.trouble = { kind: 'none' };
    await equal();
  });

  test('answer-lost: resends a batch whose answer was lost, and the relay applies it once', async () => {
    const faultProxy = await throughProxy();
    faultProxy.trouble = { kind: 'withhold', words: 'only once' };
    await master.query("INSERT INTO note VALUES (300, 'only once', 1)");
    await until(
      async () => ((await system.status()).head?.seq ?? 0) >= 2,
      () => 'the batch did not arrive',
    );
    await system.feed?.stop('SIGKILL');
    system.startFeed();
    await equal();
    expect((await system.status()).head?.seq).toBe(2);
  });

  test('toasted-values, key changes, truncate and rollback: complete rows arrive in order', async () => {
    await master.query('ALTER TABLE note ALTER body SET STORAGE EXTERNAL');
    await master.query("UPDATE note SET body = repeat('x' || id, 5000) WHERE id <= 5");
    await master.query('UPDATE note SET n = n + 1 WHERE id <= 5');
    await master.query('UPDATE note SET id = id + 1000 WHERE id = 3');
    await equal();
    await master.query('BEGIN');
    await master.query("INSERT INTO note VALUES (5000, 'gone', 1)");
    await master.query('ROLLBACK');
    await master.query('BEGIN');
    await master.query('TRUNCATE note');
    await master.query("INSERT INTO note VALUES (1, 'after', NULL)");
    await master.query('COMMIT');
    await equal();
  });

  test('toasted-values: a row changed several times in one transaction keeps every change', async () => {
    await master.query('CREATE TABLE doc (id text PRIMARY KEY, body text, other text)');
    await master.query('ALTER TABLE doc ALTER body SET STORAGE EXTERNAL, ALTER other SET STORAGE EXTERNAL');
    await master.query("INSERT INTO doc SELECT n, repeat('a', 3000), repeat('b', 3000) FROM generate_series(1, 3) n");
    await system.settled();
    await system.pull();
    await master.query('BEGIN');
    await master.query("UPDATE doc SET body = repeat('A', 3000) WHERE id = '1'");
    await master.query("UPDATE doc SET other = repeat('B', 3000) WHERE id = '1'");
    await master.query("UPDATE doc SET id = 'passing' WHERE id = '2'");
    await master.query("UPDATE doc SET id = 'there' WHERE id = 'passing'");
    await master.query("UPDATE doc SET body = 'short' WHERE id = 'there'");
    await master.query('COMMIT');
    await system.settled();
    await system.pull();
    const columns = ['id', 'body', 'other'].map((name) => ({ name, rule: 'text' as const }));
    expect(await differences(master, system.database(), 'doc', columns)).toEqual([]);
  });

  test('restarted-postgres, killed-postgres: the feed reconnects', async () => {
    await master.end();
    await postgres.restart();
    master = await connect(postgres.url);
    await master.query("INSERT INTO note VALUES (400, 'after a restart', 1)");
    await equal();
    master.on('error', () => undefined);
    await postgres.kill9();
    await postgres.restart();
    master = await connect(postgres.url);
    await master.query("INSERT INTO note VALUES (401, 'after a crash', 1)");
    await equal();
  });

  test('lost-slot: the relay compares a new base copy with its mirror, and cursors stay valid', async () => {
    await equal();
    const { epoch } = (await system.status()).head ?? {};
    await system.feed?.stop('SIGTERM');
    await master.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots');
    await master.query("UPDATE note SET body = 'missed' WHERE id = 7");
    await master.query('DELETE FROM note WHERE id = 8');
    system.startFeed();
    await equal();
    const after = await system.status();
    expect(after.head?.epoch).toBe(epoch);
    expect(after.feed.base?.why).toBe('the slot is gone');
  });

  const gap = async (then = '') => {
    await master.query("DROP PUBLICATION tidemark_shop; UPDATE note SET body = 'missed' WHERE id = 7");
    await master.query(`DELETE FROM note WHERE id = 8; ${then}`);
  };
  const dropped = async () => {
    await equal();
    expect((await system.status()).feed.base?.why).toBe('the publication was dropped for a while');
    await master.query("UPDATE note SET body = 'streams' WHERE id = 9");
    await equal();
    expect(system.feed?.stdout.match(/"event":"base-copy"/g)).toHaveLength(1);
    expect(system.feed?.stdout).not.toContain('"event":"fault"');
  };

  test('lost-publication: recovers from a publication dropped while the feed runs', async () => {
    await equal();
    await system.feed?.stop('SIGTERM');
    system.startFeed();
    await system.settled();
    await gap();
    await dropped();
  });

  test('lost-publication: recovers from a publication dropped while the feed is down', async () => {
    await equal();
    await system.feed?.stop('SIGTERM');
    await gap();
    system.startFeed();
    await dropped();
  });

  test('lost-publication: recovers from a publication re-created by hand while the feed is down', async () => {
    await equal();
    await system.feed?.stop('SIGTERM');
    await gap('CREATE PUBLICATION tidemark_shop FOR TABLE ONLY public.note WITH (publish_via_partition_root = true);');
    system.startFeed();
    await dropped();
  });

  test('lost-relay-disk: begins a new epoch, and a terminal downloads one fresh copy', async () => {
    await equal();
    const { epoch } = (await system.status()).head ?? {};
    await system.feed?.stop('SIGTERM');
    await system.relay?.stop('SIGKILL');
    rmSync(path.join(system.folder, 'relay-data'), { recursive: true });
    await system.startRelay();
    await master.query("UPDATE note SET body = 'later' WHERE id = 7");
    system.startFeed();
    await equal();
    const after = await system.status();
    expect(after.head?.epoch).not.toBe(epoch);
    expect(after.feed.base?.why).toBe('the relay has no data');
    await master.query("UPDATE note SET body = 'by pages again' WHERE id = 7");
    await equal();
  });

  test('relay-set-back: seqs that terminals know are never reused, and terminals download one fresh copy', async () => {
    await equal();
    const data = path.join(system.folder, 'relay-data');
    await system.relay?.stop('SIGTERM');
    cpSync(data, `${data}-backup`, { recursive: true });
    await system.startRelay();
    for (let n = 1; n <= 5; n++) await master.query('UPDATE note SET n = -n WHERE id = $1', [n]);
    await equal();
    const before = (await system.status()).head;
    await system.relay?.stop('SIGTERM');
    rmSync(data, { recursive: true });
    renameSync(`${data}-backup`, data);
    await system.startRelay();
    await equal();
    const after = await system.status();
    expect(after.head?.epoch).not.toBe(before?.epoch);
    expect(after.feed.base?.why).toBe('the slot is ahead of the relay, which was set back');
    for (let n = 1; n <= 9; n++) await master.query("UPDATE note SET body = 'later' WHERE id = $1", [n]);
    await equal();
  });

  test('interrupted-base-copy: the feed does not mistake the relay for one that was set back, and cursors stay valid', async () => {
    await equal();
    const { epoch } = (await system.status()).head ?? {};
    await system.feed?.stop('SIGTERM');
    await master.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots');
    const faultProxy = await throughProxy();
    faultProxy.trouble = { kind: 'withhold', words: '"B"' };
    await until(
      async () => (await master.query('SELECT FROM pg_replication_slots')).rowCount === 1,
      () => 'no base copy began',
    );
    await system.feed?.stop('SIGKILL');
    await master.query("UPDATE note SET body = 'meanwhile' WHERE id = 7");
    system.startFeed();
    await equal();
    expect((await system.status()).head?.epoch).toBe(epoch);
  });

  test('quiet-publication: the slot advances while no published table changes', async () => {
    await master.query('CREATE UNLOGGED TABLE noise (n int)');
    const before = await lsn();
    await master.query('SELECT pg_switch_wal()');
    await until(
      async () => !(await isBefore(await confirmed(), before)),
      () => 'the slot did not advance',
      30_000,
    );
  });

  test('a second feed of the same name fails with slot_in_use or session_superseded', async () => {
    const second = start(
      'feed',
      ['run', '--feed', 'shop', '--relay', system.url, '--token-file', system.tokenFile('feed')],
      {
        TIDEMARK_SOURCE: postgres.url,
      },
    );
    cleanup.push(() => second.stop('SIGKILL'));
    await until(
      async () =>
        /slot_in_use|session_superseded/.test(
          second.stdout + (system.feed?.stdout ?? '') + (system.feed?.stderr ?? ''),
        ),
      () => second.stdout,
    );
  });
});

test('a master that is not ready: reports all missing prerequisites at once, with their remedies', async () => {
  const postgres = await startPostgres({ walLevel: 'replica' });
  cleanup.push(() => postgres.stop());
  const master = await connect(postgres.url);
  cleanup.push(() => master.end());
  await master.query('CREATE TABLE keyless (a int)');
  await master.query(TABLE);
  await master.query("CREATE ROLE weak LOGIN PASSWORD 'weak-secret'");
  const system = await System.start(postgres.url);
  cleanup.push(() => system.stop());
  const source = new URL(postgres.url);
  source.username = 'weak';
  source.password = 'weak-secret';
  const ended = await run('feed', [
    ...['run', '--source', source.href, '--feed', 'shop'],
    ...['--relay', system.url, '--token-file', system.tokenFile('feed')],
  ]);
  expect(ended.code).toBe(1);
  expect(ended.stderr).toMatch(/source_not_ready/);
  for (const words of ['wal_level', 'keyless', 'REPLICATION', 'note']) expect(ended.stderr).toContain(words);
  expect(ended.stderr + ended.stdout).not.toContain('weak-secret');
  const { rows } = await master.query('SELECT count(*) AS n FROM pg_replication_slots');
  expect(rows).toEqual([{ n: '0' }]);
});

test('invalid options: reports every mistake and exits with 78', async () => {
  const ended = await run('feed', [
    'run',
    '--source',
    'mysql://x',
    '--feed',
    'Shop!',
    '--relay',
    'nowhere',
    '--token-file',
    '/none',
  ]);
  expect(ended.code).toBe(78);
  for (const words of ['--source', '--feed', '--relay', '--token-file']) expect(ended.stderr).toContain(words);
});
