import { readFileSync } from 'node:fs';
import { PATHS } from '@tidemark/protocol/paths';
import { FeedTroubles } from '@tidemark/protocol/trouble';
import { FaultProxy } from '@tidemark/testing/fault-proxy';
import { connect } from '@tidemark/testing/oracle';
import { startPostgres } from '@tidemark/testing/postgres/embedded';
import { until } from '@tidemark/testing/processes';
import { System } from '@tidemark/testing/system';
import { afterEach, expect, test } from 'vitest';

const cleanup: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of cleanup.splice(0).reverse()) await stop();
});

test('F18: faults of the feed and tables that it leaves out reach the relay, heartbeats do not end a fault, and progress does', async () => {
  const postgres = await startPostgres({ walLevel: 'logical' });
  cleanup.push(() => postgres.stop());
  const master = await connect(postgres.url);
  cleanup.push(() => master.end());
  await master.query('CREATE TABLE item (id integer PRIMARY KEY)');
  const system = await System.start(postgres.url);
  cleanup.push(() => system.stop());
  await system.addToken('admin', 'head-office');
  const link = await FaultProxy.start(system.url);
  cleanup.push(() => link.stop());
  await system.feed?.stop('SIGTERM');
  system.feedUrl = link.url;
  system.startFeed();
  await system.settled();
  const token = readFileSync(system.tokenFile('head-office'), 'utf8').trim();
  const troubles = async () => {
    const headers = { authorization: `Bearer ${token}` };
    return FeedTroubles.parse(await (await fetch(system.url + PATHS.troubles('shop'), { headers })).json());
  };
  const fault = async () => (await system.status()).feed.fault;
  const explain = () => `${system.feed?.stdout.slice(-3000)}`;
  await master.query('CREATE TABLE keyless (id integer)');
  await system.settled();
  expect((await system.status()).feed.connected).toBe(true);

  // Heartbeats arrive, and the batch with the change fails each time.
  link.trouble = { kind: 'refuse', words: '["b",' };
  await master.query('INSERT INTO item VALUES (1)');
  await until(async () => ((await troubles()).report?.fault?.attempts ?? 0) >= 3, explain);
  expect(await fault()).toMatchObject({ code: 'relay_unreachable' });
  expect((await system.status()).feed.connected).toBe(false);

  link.trouble = { kind: 'none' };
  await until(async () => (await fault()) === undefined, explain);
  expect((await troubles()).report).toMatchObject({ fault: null, tables: [{ table: 'keyless', held: false }] });

  // A relay that restarts hears the report again.
  await system.relay?.stop('SIGKILL');
  await system.startRelay();
  await until(async () => (await troubles()).report?.tables.length === 1, explain);
  await until(async () => (await fault()) === undefined, explain);
});
