import { setTimeout as sleep } from 'node:timers/promises';
import { hostileKey } from './fleet-hostile.ts';
import type { Ask } from './fleet-load.ts';
import { fillItems, get, Load, ms, now, portOf, setOf } from './fleet-parts.ts';
import { FleetRelay, noise } from './fleet-relay.ts';
import { median, quantile, type Result, usage } from './lib.ts';

/**
 * The fleet benchmark: the cost of many terminals, or of a hostile one, for the others. Relay, load and measurements are
 * separate processes on loopback. Relay and load need about 10,100 file descriptors each (`ulimit -n`).
 */

const PAGES = 1_000;
const WATCHERS = 10_000;
const SETS = 50;
const COMPACTIONS = 200;

/** Returns the durations, in ms, of `work` that is repeated until `end`. */
async function repeat(end: { reached: boolean }, pauseMs: number, work: () => Promise<unknown>): Promise<number[]> {
  const durations: number[] = [];
  while (!end.reached) {
    const begin = performance.now();
    await work();
    durations.push(performance.now() - begin);
    await sleep(pauseMs);
  }
  return durations;
}

/** 1,000 terminals ask at once for different pages of 1 MB. */
async function firstPages(): Promise<Result> {
  const relay = await FleetRelay.start(PAGES + 1, 1);
  const load = new Load();
  try {
    await fillItems(relay, 3_300);
    const set = await setOf(relay, 1);
    const { head } = relay;
    const asks = (first: number, length: number): Ask[] =>
      Array.from({ length }, (_, n) => ({
        key: n,
        path: `/v1/feeds/shop/pages/${relay.epoch}/${set}/${first + n}/${head}`,
      }));
    // The same number of bytes one after another: other pages, so that the cache holds none of them.
    const port = portOf(relay);
    const REFERENCE = 200;
    let begin = now();
    const job = { kind: 'one-by-one', port, asks: asks(1_100, REFERENCE) } as const;
    const reference = await load.run(job).outcome;
    if (reference.answers.some(({ status }) => status !== 200)) throw new Error('the relay refused a single page');
    const oneByOneMs = ((now() - begin) / REFERENCE) * PAGES;

    const end = { reached: false };
    const health = repeat(end, 20, () => get(relay, '/healthz'));
    let id = 1e6;
    const ingest = repeat(end, 50, () => relay.commit('i', 1, [[[id++, 'row']]]));
    begin = now();
    const { answers } = await load.run({ kind: 'at-once', port, asks: asks(2, PAGES), limitMs: 120_000 }).outcome;
    end.reached = true;
    const lastMs = Math.max(...answers.map(({ atMs }) => atMs)) - begin;
    const served = answers.filter(({ status }) => status === 200);
    const [healthMs, ingestMs] = [quantile(await health, 0.99), quantile(await ingest, 0.99)];
    const { peakMib } = usage(relay.pid);
    const ratio = lastMs / oneByOneMs;
    const mb = served.reduce((sum, { bytes }) => sum + bytes, 0) / 1e6;
    return {
      what: `${PAGES} terminals ask at once for different pages of 1 MB (${mb.toFixed(0)} MB compressed)`,
      ours: `${served.length} served, last after ${ms(lastMs)}, relay ${peakMib.toFixed(0)} MiB, p99 of /healthz ${ms(healthMs)}, of ingest ${ms(ingestMs)}`,
      limit: `one after another: ${ms(oneByOneMs)}`,
      ratio: ratio.toFixed(2),
      reach: 'all, ≤ 1.5, ≤ 500 MiB, ≤ 100 ms',
      met: served.length === PAGES && ratio <= 1.5 && peakMib <= 500 && healthMs <= 100 && ingestMs <= 100,
    };
  } finally {
    load.stop();
    await relay.stop();
  }
}

/** 10,000 terminals wait, and a commit concerns all of them. */
async function watchers(): Promise<Result> {
  const relay = await FleetRelay.start(WATCHERS, 1);
  const load = new Load();
  try {
    await fillItems(relay, 10);
    const set = await setOf(relay, 1);
    const feedMs: number[] = [];
    const lastMs: number[] = [];
    let answered = WATCHERS;
    for (let round = 0; round < 3; round++) {
      const asks = Array.from({ length: WATCHERS }, (_, key) => ({
        key,
        path: `/v1/feeds/shop/status?epoch=${relay.epoch}&seq=${relay.head}&scopes=${set}&wait=60`,
      }));
      const { sent, outcome } = load.run({ kind: 'at-once', port: portOf(relay), asks, limitMs: 60_000 });
      await sent;
      // The relay has received every request when it answers one that was sent later.
      await get(relay, '/healthz');
      await sleep(3_000);
      const begin = now();
      await relay.commit('i', 1, [[[1e6 + round, 'news']]]);
      feedMs.push(now() - begin);
      const { answers } = await outcome;
      lastMs.push(Math.max(...answers.map(({ atMs }) => atMs)) - begin);
      answered = Math.min(answered, answers.filter(({ status }) => status === 200).length);
    }
    const [feed, last] = [median(feedMs), median(lastMs)];
    return {
      what: `a commit for ${WATCHERS.toLocaleString('en')} watching terminals`,
      ours: `${answered} answered, feed ${ms(feed)}, last terminal ${ms(last)}, relay ${usage(relay.pid).peakMib.toFixed(0)} MiB`,
      limit: '–',
      ratio: '–',
      reach: 'all, feed ≤ 20 ms, last ≤ 1.5 s',
      met: answered === WATCHERS && feed <= 20 && last <= 1_500,
    };
  } finally {
    load.stop();
    await relay.stop();
  }
}

/** 200 terminals in 50 sets of scopes ask for compacted pages. */
async function compactions(): Promise<Result> {
  const relay = await FleetRelay.start(COMPACTIONS, SETS);
  const load = new Load();
  try {
    const rows = (round: number) =>
      Array.from({ length: SETS * 20 }, (_, n) => [n, (n % SETS) + 1, noise(round * 1e4 + n, 1_000)]);
    await relay.commit('i', 2, [rows(0)]);
    for (let round = 1; round < 50; round++) await relay.commit('u', 2, [rows(round)]);
    const sets = await Promise.all(Array.from({ length: SETS }, (_, n) => setOf(relay, n)));
    const asks = Array.from({ length: COMPACTIONS }, (_, key) => ({
      key,
      path: `/v1/feeds/shop/squashed/${relay.epoch}/${sets[key % SETS]}/${2 + Math.floor(key / SETS)}/${relay.head}`,
    }));
    const begin = now();
    const { answers } = await load.run({ kind: 'at-once', port: portOf(relay), asks, limitMs: 60_000 }).outcome;
    const served = answers.filter(({ status }) => status === 200);
    const other = answers.filter(({ status }) => status !== 200 && status < 500).length;
    return {
      what: `${COMPACTIONS} compactions of ${SETS} sets of scopes at once`,
      ours: `${served.length} served, last after ${ms(Math.max(0, ...served.map(({ atMs }) => atMs)) - begin)}${other ? `, ${other} refused` : ''}`,
      limit: '–',
      ratio: '–',
      reach: 'all within 60 s',
      met: served.length === COMPACTIONS,
    };
  } finally {
    load.stop();
    await relay.stop();
  }
}

export async function benchFleet(): Promise<Result[]> {
  return [await firstPages(), await watchers(), await compactions(), ...(await hostileKey())];
}

const PARTS = { pages: firstPages, watchers, compactions, hostile: hostileKey };

/** Runs the parts that the arguments name, or all of them: `node bench/fleet.ts pages hostile`. */
if (import.meta.main) {
  const named = process.argv.slice(2);
  for (const [name, part] of Object.entries(PARTS))
    if (named.length === 0 || named.includes(name))
      for (const { met, what, ours, limit, ratio, reach } of [await part()].flat())
        console.log(`${met ? 'PASS' : 'FAIL'} ${what}: ${ours} (${limit}), ratio ${ratio}; limit ${reach}`);
}
