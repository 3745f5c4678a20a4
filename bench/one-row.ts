import { until } from '@tidemark/testing/processes';
import Database from 'better-sqlite3';
import { quantile, type Result } from './lib.ts';
import type { Office } from './office.ts';

/** The latency benchmark: how long one committed row takes to reach another program's query on the branch PC. */

const COMMITS = 400;
const pause = new Int32Array(new SharedArrayBuffer(4));
/**
 * Interval between the reader's queries, ms. Short enough to be precise, and long enough to leave the CPU to the other
 * processes.
 */
const LOOK_MS = 0.3;

/** Measures the time from the master's answer to COMMIT until another program on the branch PC reads the row. */
export async function benchOneRow(office: Office, replica: string): Promise<Result> {
  const terminal = office.system.startWatch(replica);
  await until(
    async () => terminal.stdout.includes('Up to date'),
    () => `the terminal does not follow: ${terminal.stdout}${terminal.stderr}`,
  );
  const reader = new Database(replica, { readonly: true });
  const read = reader.prepare('SELECT n FROM one WHERE id = 1').pluck();
  const durations: number[] = [];
  for (let n = 1; n <= COMMITS; n++) {
    await office.master.query('UPDATE one SET n = $1 WHERE id = 1', [n]);
    const begin = performance.now();
    while (read.get() !== n) {
      if (performance.now() - begin > 30_000) throw new Error('the row did not arrive');
      Atomics.wait(pause, 0, 0, LOOK_MS);
    }
    durations.push(performance.now() - begin);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  reader.close();
  await terminal.stop('SIGTERM');
  const [p50, p99] = [quantile(durations, 0.5), quantile(durations, 0.99)];
  return {
    what: 'one row, commit to visible at a watching terminal',
    ours: `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`,
    limit: '–',
    ratio: '–',
    reach: 'p50 ≤ 10 ms, p99 ≤ 100 ms',
    met: p50 <= 10 && p99 <= 100,
  };
}
