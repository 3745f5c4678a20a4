import { type Running, start } from '@tidemark/testing/processes';
import Database from 'better-sqlite3';
import { afterEach, expect, test } from 'vitest';
import { RawConnection, rawRequest } from './raw-http.ts';
import { args, database, faultProxy, pull, relay, rows, useTerminal } from './terminal-lab.ts';

/** Terminals whose long polls the relay refuses, because too many requests wait (B46). */

useTerminal();

let watch: Running | null = null;
const waiting: RawConnection[] = [];
afterEach(async () => {
  for (const connection of waiting.splice(0)) connection.socket.destroy();
  await watch?.stop('SIGKILL');
  watch = null;
});

const LONG_MS = 120_000;
const WAITS_OF_KEY = 16;

/** The target of a status request that waits for news after the transaction `seq`. */
async function poll(after = 0): Promise<string> {
  const { head } = (await (await relay.get('/v1/feeds/shop/status')).json()) as {
    head: { epoch: string; seq: number };
  };
  return `/v1/feeds/shop/status?epoch=${head.epoch}&seq=${head.seq - after}&scopes=all&wait=60`;
}

/** Lets all waits that one key may have begin. */
async function takeWaits(): Promise<void> {
  const request = rawRequest(await poll(), { key: relay.token('terminal') });
  waiting.push(...(await RawConnection.many(WAITS_OF_KEY + 1, relay.url, request)));
  await expect.poll(() => waiting.flatMap(({ statuses }) => statuses), { timeout: LONG_MS }).toEqual([503]);
}

const stateInFile = () => {
  const db = new Database(database(), { readonly: true });
  try {
    return (db.prepare('SELECT code FROM tidemark_status').get() as { code: string }).code;
  } finally {
    db.close();
  }
};

test('B46: a refused poll names the time to wait; news and requests that do not wait are answered', async () => {
  await relay.base(1);
  await relay.commit('u', [[1, 'first']]);
  await takeWaits();
  const refused = await relay.get(await poll());
  expect(refused.headers.get('retry-after')).toBe('5');
  expect(await refused.json()).toMatchObject({ code: 'relay_busy', retry: true });
  expect((await relay.get('/v1/feeds/shop/status')).status).toBe(200);
  expect((await relay.get(await poll(1))).status).toBe(200);
});

test('waits-taken: a terminal whose polls are refused waits longer each time, still receives news, and recovers', async () => {
  await relay.base(1);
  await pull();
  await takeWaits();
  const refusedAt: number[] = [];
  watch = start('terminal', args('watch'));
  await expect
    .poll(
      () => {
        const polls = faultProxy.requestedPaths.filter((path) => path.includes('wait=')).length;
        while (refusedAt.length < polls) refusedAt.push(performance.now());
        return polls;
      },
      { timeout: LONG_MS },
    )
    .toBeGreaterThanOrEqual(3);
  // Each wait is at least as long as the relay asks.
  expect((refusedAt[2] ?? 0) - (refusedAt[0] ?? 0)).toBeGreaterThanOrEqual(2 * 4_900);
  await expect.poll(stateInFile, { timeout: LONG_MS }).toBe('busy');
  await relay.commit('u', [[1, 'news']]);
  await expect.poll(rows, { timeout: LONG_MS }).toEqual([[1, 'news']]);
  await expect.poll(stateInFile, { timeout: LONG_MS }).toBe('up-to-date');
});
