import { setTimeout as sleep } from 'node:timers/promises';
import type { Job } from './fleet-load.ts';
import { fillItems, get, Load, ms, portOf, setOf } from './fleet-parts.ts';
import { FleetRelay } from './fleet-relay.ts';
import { median, quantile, type Result, usage } from './lib.ts';

/**
 * One hostile key beside 20 terminals that ask for status and pages. Each kind of attack alternates with calm windows,
 * because other load on the machine varies. Both sides send from processes of their own.
 */

const TERMINALS = 20;
const PAUSE_MS = 100;
const WINDOW_MS = 4_000;
const ROUNDS = Number(process.env.BENCH_RUNS ?? 5);
const REACH = 1.25;

type Attack = Omit<Extract<Job, { kind: 'hostile' }>, 'kind' | 'port' | 'forMs'>;

export async function hostileKey(): Promise<Result[]> {
  const relay = await FleetRelay.start(50, 1);
  const [load, hostile] = [new Load(), new Load()];
  try {
    await fillItems(relay, 2_500);
    const set = await setOf(relay, 1);
    const { epoch, head } = relay;
    const port = portOf(relay);
    const page = (start: number) => `/v1/feeds/shop/pages/${epoch}/${set}/${start}/${head}`;
    const terminals = Array.from({ length: TERMINALS }, (_, n) => [
      { key: n + 1, path: `/v1/feeds/shop/status?epoch=${epoch}&seq=5&scopes=${set}` },
      { key: n + 1, path: page(100 + n) },
    ]);
    const p95 = async () => {
      const { outcome } = load.run({ kind: 'rounds', port, terminals, pauseMs: PAUSE_MS, forMs: WINDOW_MS });
      const { answers, roundsMs } = await outcome;
      if (answers.some(({ status }) => status !== 200)) throw new Error('the relay refused a terminal');
      return quantile(roundsMs, 0.95);
    };
    while ((await get(relay, '/v1/feeds/shop/snapshot')) !== 200) await sleep(500);
    const attacks: Record<string, Attack> = {
      'pipelined pages that it never reads': {
        paths: Array.from({ length: 500 }, (_, n) => page(200 + n)),
        connections: 50,
        pipelined: 50,
      },
      'heavy digests': {
        paths: [`/v1/feeds/shop/snapshots/${epoch}/${set}/${head}/digests`],
        bodies: Array.from({ length: 500 }, (_, n) => heavyDigests(n)),
        connections: 20,
        pipelined: 1,
      },
      'many snapshots': {
        paths: Array.from({ length: 500 }, (_, n) => `/v1/feeds/shop/snapshot?epoch=${epoch}&from=${head + n}`),
        connections: 20,
        pipelined: 1,
      },
      'many compactions': {
        paths: Array.from({ length: 2_000 }, (_, n) => `/v1/feeds/shop/squashed/${epoch}/${set}/${2 + n}/${head}`),
        connections: 20,
        pipelined: 1,
      },
    };
    await p95();
    const results: Result[] = [];
    for (const [kind, attack] of Object.entries(attacks)) {
      const [calm, disturbed, ratios, sent]: number[][] = [[], [], [], []];
      for (let round = 0; round < ROUNDS; round++) {
        const calmMs = await p95();
        const { sent: begun, outcome } = hostile.run({ kind: 'hostile', port, forMs: WINDOW_MS + 500, ...attack });
        await begun;
        const disturbedMs = await p95();
        sent?.push((await outcome).sent ?? 0);
        calm?.push(calmMs);
        disturbed?.push(disturbedMs);
        ratios?.push(disturbedMs / calmMs);
        await relay.idle();
      }
      const ratio = median(ratios ?? []);
      results.push({
        what: `status and page of other terminals, p95, beside one key that sends ${kind} (${Math.round(median(sent ?? []) / (WINDOW_MS / 1000))}/s)`,
        ours: `${ms(median(disturbed ?? []))}, relay ${usage(relay.pid).peakMib.toFixed(0)} MiB`,
        limit: `without that key: ${ms(median(calm ?? []))}`,
        ratio: ratio.toFixed(2),
        reach: `≤ ${REACH}`,
        met: ratio <= REACH,
      });
    }
    return results;
  } finally {
    load.stop();
    hostile.stop();
    await relay.stop();
  }
}

/** Returns a digests request that reads all rows 256 times, different for each `n`. */
function heavyDigests(n: number): string {
  const range = (i: number) => ({ after: i === 0 ? [-n] : null, upto: null });
  return JSON.stringify({ asks: Array.from({ length: 256 }, (_, i) => ({ table: 1, range: range(i), parts: 16 })) });
}
