import { Helper, median, type Result, RUNS, seconds } from './lib.ts';
import type { Office } from './office.ts';
import { BenchTerminal } from './terminal.ts';

/**
 * The catch-up benchmark: how long a terminal takes to pull 10,000 changed rows, compared with other sync engines.
 *
 * The relay must have received every change before the clock starts, so that only the terminal's work is measured.
 */

const CHANGED = 10_000;

/** Measures the time from the click to the last applied row. The other engines pull the same rows over HTTP. */
export async function benchCatchUp(office: Office, replica: string): Promise<Result[]> {
  const terminal = new BenchTerminal(office, replica);
  terminal.start();
  await terminal.pull();
  const durations: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    await office.master.query(`UPDATE item SET name = left(name, 18) || '${run % 10}x' WHERE id <= ${CHANGED}`);
    await office.system.settled();
    durations.push(
      await seconds(async () => {
        const { updated } = await terminal.pull();
        if (updated !== CHANGED) throw new Error(`${updated} changes came`);
      }),
    );
  }
  await terminal.stop();
  const ours = median(durations);
  const against = async (name: string, file: string, reach: number): Promise<Result> => {
    const peer = await Helper.start<{ seconds: number[] }>(file, replica, office.folder, String(CHANGED), String(RUNS));
    const theirs = median(peer.ready.seconds);
    return {
      what: '10,000 changed rows, click to applied',
      ours: `${(ours * 1000).toFixed(0)} ms`,
      limit: `${name}: ${(theirs * 1000).toFixed(0)} ms`,
      ratio: `${(theirs / ours).toFixed(1)} × faster`,
      reach: `≥ ${reach} ×`,
      met: theirs / ours >= reach,
    };
  };
  return [await against('WatermelonDB', 'peers/watermelon.js', 5), await against('PouchDB', 'peers/pouch.js', 30)];
}
