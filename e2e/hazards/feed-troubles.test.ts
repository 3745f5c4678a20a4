import { type RelayStatusBody, TableList } from '@tidemark/protocol/api';
import type { TableSchema } from '@tidemark/protocol/schema';
import { FeedReport, REPORTED_TABLES, TROUBLE_TEXT } from '@tidemark/protocol/trouble';
import { batchOf, ITEM, position, TestRelay } from '@tidemark/testing/test-relay';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { z } from 'zod';

let relay: TestRelay;
beforeEach(async () => {
  relay = await TestRelay.start();
});
afterEach(() => relay.stop());

const TROUBLES = '/v1/feeds/shop/troubles';
const SINCE = '2026-11-23T07:00:00.000Z';
const AS_OF = '2026-11-23T08:00:00.000000Z';
/** A row of another branch, which a detail may contain and no terminal may see. */
const CANARY = 'canary-of-another-branch';

type Report = z.input<typeof FeedReport>;
const NOTHING: Report = { fault: null, tables: [], more: 0 };
const FAULT: NonNullable<Report['fault']> = {
  code: 'source_lost',
  detail: `the connection broke at ${CANARY}`,
  since: SINCE,
  attempts: 3,
};
const trouble = (table: string, held = true): Report['tables'][number] => ({
  table,
  reason: 'row_too_large',
  detail: `the row ${CANARY} has 40 MiB`,
  todo: `DELETE FROM item WHERE name = '${CANARY}'`,
  since: SINCE,
  held,
});
const MARKED: TableSchema = { ...ITEM, setAside: { reason: 'row_too_large', asOf: AS_OF } };

const post = (body: string, token = relay.token('feed')) =>
  fetch(relay.url + TROUBLES, { method: 'POST', headers: { authorization: `Bearer ${token}` }, body });
async function report(content: Report): Promise<void> {
  const answer = await post(JSON.stringify(content));
  expect([answer.status, await answer.text()]).toEqual([200, '{}']);
}
const json = async (route: string, token?: string) => (await relay.get(route, token)).json() as Promise<unknown>;
const status = async () => (await json('/v1/feeds/shop/status')) as RelayStatusBody;
const tables = async () => TableList.parse(await json('/v1/feeds/shop/tables')).tables;
const metrics = async () => (await relay.get('/metrics', relay.token('admin'))).text();

/** Marks the table as set aside, as the feed does (F17). */
const setAside = () =>
  relay.transaction([
    ['s', 2, MARKED],
    ['a', 2, 1, ['id', 'name']],
  ]);

test('F18: administrators read the complete report; terminals and feeds are refused', async () => {
  expect(await json(TROUBLES, relay.token('admin'))).toEqual({ report: null, heardAt: null });
  const content = { fault: FAULT, tables: [trouble('item'), trouble('unheld', false)], more: 2 };
  await report(content);
  expect(await json(TROUBLES, relay.token('admin'))).toEqual({ report: content, heardAt: expect.any(String) });
  for (const name of ['terminal', 'feed']) {
    const answer = await relay.get(TROUBLES, relay.token(name));
    expect([answer.status, await answer.json()]).toMatchObject([
      403,
      { code: 'role_denied', params: { need: 'admin' } },
    ]);
  }
  const refused = await post(JSON.stringify(NOTHING), relay.token('terminal'));
  expect([refused.status, await refused.json()]).toMatchObject([
    403,
    { code: 'role_denied', params: { need: 'feed' } },
  ]);
});

test('G2: no detail of a report reaches a terminal', async () => {
  await relay.base(2);
  await setAside();
  await report({ fault: FAULT, tables: [trouble('item'), trouble(`unheld ${CANARY}`, false)], more: 0 });
  const { head } = await status();
  const answers = [
    '/v1/feeds/shop/status',
    '/v1/feeds/shop/tables',
    `/v1/feeds/shop/transactions?epoch=${head?.epoch}&after=1`,
    `/v1/feeds/shop/pages/${head?.epoch}/all/1/${head?.seq}`,
    '/v1/feeds/shop/snapshot',
    TROUBLES,
    '/readyz',
  ];
  for (const route of answers) expect(await (await relay.get(route)).text(), route).not.toContain(CANARY);
});

test('F18: status shows the fault and the number of troubled tables, and a feed with a fault is not connected', async () => {
  await relay.base(1);
  expect((await status()).feed).not.toHaveProperty('fault');
  expect((await status()).feed).not.toHaveProperty('troubled');
  expect((await status()).feed.connected).toBe(true);
  await report({ fault: FAULT, tables: [trouble('item')], more: 4 });
  expect((await status()).feed).toMatchObject({
    connected: false,
    fault: { code: 'source_lost', since: SINCE },
    troubled: 5,
  });
  expect((await (await fetch(`${relay.url}/readyz`)).json()) as object).toMatchObject({
    ready: true,
    feeds: [{ name: 'other' }, { name: 'shop', connected: false }],
  });
  await report(NOTHING);
  expect((await status()).feed).not.toHaveProperty('fault');
  expect((await status()).feed.connected).toBe(true);
});

test('F17: a table that is set aside is listed with its mark, and counted once', async () => {
  await relay.base(1);
  await setAside();
  expect(await tables()).toMatchObject([{ name: 'item', rows: 1, setAside: { reason: 'row_too_large', asOf: AS_OF } }]);
  expect((await status()).feed.troubled).toBe(1);
  await report({ fault: null, tables: [trouble('item'), trouble('unheld', false)], more: 0 });
  expect((await status()).feed.troubled).toBe(2);
  // The tables without room in the report include the marked one.
  await report({ fault: null, tables: [trouble('unheld', false)], more: 3 });
  expect((await status()).feed.troubled).toBe(4);
});

test('F17: the mark survives a restart of the relay, and goes when the table follows again', async () => {
  await relay.base(1);
  await setAside();
  await relay.restart('{}', Date.now());
  await relay.session();
  expect((await status()).feed).toMatchObject({ troubled: 1, lagMs: null });
  expect(await tables()).toMatchObject([{ setAside: { reason: 'row_too_large' } }]);
  await relay.transaction([
    ['s', 3, ITEM],
    ['a', 3, 2, ['id', 'name']],
  ]);
  expect(await tables()).toEqual([expect.not.objectContaining({ setAside: expect.anything() })]);
  expect((await status()).feed).not.toHaveProperty('troubled');
});

test('S12: the lag is unknown after a restart, and grows between current heartbeats', async () => {
  await relay.session();
  await relay.baseOf([
    ['s', 1, ITEM],
    ['i', 1, [[1, 'item 1']]],
  ]);
  expect((await status()).feed.lagMs).toBeNull();
  expect(await metrics()).not.toContain('relay_source_lag_seconds{');
  await relay.send(batchOf([['h', position(9), AS_OF, false]]));
  expect((await status()).feed.lagMs).toBeNull();
  await relay.send(batchOf([['h', position(9), AS_OF, true]]));
  const first = (await status()).feed.lagMs ?? Number.NaN;
  expect(first).toBeLessThan(60_000);
  await expect.poll(async () => (await status()).feed.lagMs).toBeGreaterThan(first);
  // A heartbeat that waited in the feed for four minutes.
  await relay.restart('{}', Date.now());
  await relay.session();
  await relay.send(batchOf([['h', position(10), AS_OF, true]]), performance.now() - 240_000);
  const waited = (await status()).feed.lagMs;
  expect(waited).toBeGreaterThanOrEqual(240_000);
  expect(waited).toBeLessThan(300_000);
  const shown = /relay_source_lag_seconds\{feed="shop"\} (\S+)/.exec(await metrics())?.[1];
  expect(Number(shown)).toBeGreaterThanOrEqual(240);
});

test('metrics name the fault and at most 100 troubled tables', async () => {
  await relay.base(1);
  expect(await metrics()).toContain('relay_tables_troubled{feed="shop"} 0');
  const many = Array.from({ length: REPORTED_TABLES }, (_, n) => ({ ...trouble(`t${n}`), detail: '', todo: '' }));
  await report({ fault: FAULT, tables: many, more: 7 });
  const text = await metrics();
  expect(text).toContain('relay_feed_fault{feed="shop",code="source_lost"} 1');
  expect(text).toContain('relay_feed_connected{feed="shop"} 0');
  expect(text).toContain(`relay_tables_troubled{feed="shop"} ${REPORTED_TABLES + 7}`);
  expect(text).toContain('relay_table_trouble{feed="shop",table="t0",reason="row_too_large"} 1');
  expect(text.match(/^relay_table_trouble\{/gm)).toHaveLength(100);
  await report(NOTHING);
  expect(await metrics()).not.toMatch(/relay_(feed_fault|table_trouble)\{/);
});

test('the relay logs a report when it changes, not with each attempt', async () => {
  for (let attempts = 1; attempts < 5; attempts++)
    await report({ fault: { ...FAULT, attempts, detail: `attempt ${attempts}` }, tables: [trouble('item')], more: 0 });
  await report(NOTHING);
  await report(NOTHING);
  expect(relay.events.filter(({ event }) => event === 'feed-troubles')).toEqual([
    expect.objectContaining({ feed: 'shop', fault: 'source_lost', tables: ['item: row_too_large'], more: 0 }),
    expect.objectContaining({ feed: 'shop', fault: null, tables: [], more: 0 }),
  ]);
});

test.each([
  ['a report over 1 MiB', () => ' '.repeat(1024 * 1024 + 1), 413, 'body_too_large', '1048576'],
  ['a report that is not JSON', () => '{', 400, 'request_invalid', 'the body is not JSON'],
  [
    'a report with too many tables',
    () => JSON.stringify({ ...NOTHING, tables: Array.from({ length: 501 }, () => ({})) }),
    400,
    'request_invalid',
    'tables: more than 500 entries',
  ],
  [
    'a report with too many values',
    () => JSON.stringify({ ...NOTHING, tables: Array.from({ length: 200_000 }, () => ({})) }),
    400,
    'request_invalid',
    'the body has more than 10000 values',
  ],
  [
    'a detail that is too long',
    () => JSON.stringify({ ...NOTHING, fault: { ...FAULT, detail: 'x'.repeat(TROUBLE_TEXT + 1) } }),
    400,
    'request_invalid',
    'fault.detail',
  ],
])('refuses %s in few words and keeps the earlier report', async (_, body, code, problem, words) => {
  await report({ fault: FAULT, tables: [], more: 0 });
  const answer = await post(body());
  const text = await answer.text();
  expect([answer.status, text]).toEqual([code, expect.stringContaining(problem)]);
  expect(text).toContain(words);
  expect(text.length).toBeLessThan(1000);
  expect((await status()).feed.fault?.code).toBe('source_lost');
});

test.each(['', 'x', '1.5', '1e9', '9'.repeat(30)])('refuses a batch whose sample time is %j', async (sampled) => {
  await relay.session();
  const answer = await fetch(`${relay.url}/v1/feeds/shop/batches`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${relay.token('feed')}`,
      'tidemark-session': 'x',
      'tidemark-batch': '1',
      'tidemark-sampled': sampled,
    },
    body: batchOf([]).toString(),
  });
  expect([answer.status, await answer.text()]).toEqual([400, expect.stringContaining('tidemark-sampled')]);
});

test('reads a code and a reason of a newer feed as the general ones', () => {
  const newer = { ...NOTHING, fault: { ...FAULT, code: 'new' }, tables: [{ ...trouble('item'), reason: 'new' }] };
  expect(FeedReport.parse(newer)).toMatchObject({ fault: { code: 'internal' }, tables: [{ reason: 'other' }] });
});
