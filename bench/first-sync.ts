import { copyFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { Helper, median, type Result, RUNS, seconds, thousands } from './lib.ts';
import { type Office, ROWS } from './office.ts';
import { BenchTerminal } from './terminal.ts';

/**
 * Measures first pulls into new files, in rows/s, with the relay's snapshot already built. Keeps the last file for
 * later benchmarks.
 */
export async function benchFirstSync(office: Office): Promise<{ result: Result; replica: string }> {
  const replica = path.join(office.folder, 'first.sqlite');
  await firstPull(office, path.join(office.folder, 'warm.sqlite'));
  const durations: number[] = [];
  for (let run = 0; run < RUNS; run++) durations.push(await firstPull(office, replica));
  const copy = path.join(office.folder, 'peers.sqlite');
  copyFileSync(replica, copy);
  const peer = await Helper.start<{ seconds: number[] }>('peers/turso.js', copy, office.folder, String(RUNS));
  const rate = { ours: ROWS / median(durations), limit: ROWS / median(peer.ready.seconds) };
  const ratio = rate.ours / rate.limit;
  return {
    replica,
    result: {
      what: 'first sync, snapshot ready, rows/s',
      ours: thousands(rate.ours),
      limit: `Turso sync, first pull: ${thousands(rate.limit)}`,
      ratio: ratio.toFixed(2),
      reach: '≥ 0.80',
      met: ratio >= 0.8,
    },
  };
}

async function firstPull(office: Office, file: string): Promise<number> {
  for (const suffix of ['', '-wal', '-shm', '-lock']) rmSync(file + suffix, { force: true });
  const terminal = new BenchTerminal(office, file);
  const elapsed = await seconds(async () => {
    terminal.start();
    await terminal.pull();
  });
  await terminal.stop();
  return elapsed;
}
