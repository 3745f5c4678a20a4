import { rmSync } from 'node:fs';
import path from 'node:path';
import { until } from '@tidemark/testing/processes';
import { usage } from './lib.ts';
import { Office, row } from './office.ts';

/** The transaction sizes, in rows, for which the peaks are measured. */
const SIZES = [100_000, 500_000, 1_000_000];

/** Measures the peak memory of each process by transaction size. Each size starts new processes. */
export async function benchMemory(): Promise<string> {
  const lines: string[] = [];
  for (const size of SIZES) {
    const office = await Office.start(0);
    try {
      const database = path.join(office.folder, 'memory.sqlite');
      const terminal = office.system.startWatch(database);
      await until(
        async () => terminal.stdout.includes('Up to date'),
        () => `the terminal does not follow: ${terminal.stdout}${terminal.stderr}`,
      );
      await office.master.query(`INSERT INTO bulk SELECT ${row('n')} FROM generate_series(1, ${size}) n`);
      await until(
        async () => terminal.stdout.includes(`Received ${size.toLocaleString('en-GB')} changes`),
        () => `the rows did not arrive: ${terminal.stdout}`,
        300_000,
      );
      const peak = (pid: number | undefined) => usage(pid).peakMib.toFixed(0);
      lines.push(
        `| ${size.toLocaleString('en')} | ${peak(office.system.feed?.child.pid)} | ${peak(office.system.relay?.child.pid)} | ${peak(terminal.child.pid)} |`,
      );
      console.error(lines.at(-1));
      await terminal.stop('SIGTERM');
      rmSync(database, { force: true });
    } finally {
      await office.stop();
    }
  }
  return [
    '| rows in one transaction | feed, peak MiB | relay, peak MiB | terminal, peak MiB |',
    '| --- | --- | --- | --- |',
    ...lines,
  ].join('\n');
}
