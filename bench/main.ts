import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ROOT } from '../scripts/app.ts';
import { benchApply } from './apply.ts';
import { benchCatchUp } from './catch-up.ts';
import { benchFirstSync } from './first-sync.ts';
import { benchFleet } from './fleet.ts';
import { benchIngest } from './ingest.ts';
import { type Result, RUNS, usage } from './lib.ts';
import { benchMemory } from './memory.ts';
import { Office, ROWS } from './office.ts';
import { benchOneRow } from './one-row.ts';
import { benchRows } from './rows.ts';
import { benchFlatness, benchRouting } from './scopes.ts';
import { benchServing } from './serving.ts';
import { benchSnapshot } from './snapshot.ts';
import { benchVerify } from './verify.ts';

/**
 * `npm run bench`: prints a table of results, each compared with a limit that is measured in the same run. With
 * `-- --write`, also writes the table into docs/performance.md.
 */

const PEERS = path.join(import.meta.dirname, 'peers');
if (!existsSync(path.join(PEERS, 'node_modules'))) {
  console.error('Installing the peers that are measured against…');
  const done = spawnSync('npm', ['ci', '--ignore-scripts'], { cwd: PEERS, stdio: 'inherit' });
  if (done.status !== 0) throw new Error('the peers cannot be installed');
}

const results: Result[] = [];
const add = (...more: Result[]) => {
  results.push(...more);
  for (const { what, ours, limit, ratio, reach, met } of more)
    console.error(`${met === null ? '·' : met ? '✓' : '✗'} ${what}: ${ours} (${limit}) ${ratio}, reach ${reach}`);
};

console.error(`Head office with ${ROWS.toLocaleString('en')} rows…`);
const office = await Office.start();
let processes = '';
try {
  add(await benchApply(office));
  const first = await benchFirstSync(office);
  add(first.result);
  add(...(await benchServing(office)));
  add(...(await benchCatchUp(office, first.replica)));
  add(await benchOneRow(office, first.replica));
  add(await benchIngest(office));
  const lines = (name: string, pid: number | undefined) => {
    const { cpuS, peakMib } = usage(pid);
    return `| ${name} | ${cpuS.toFixed(1)} | ${peakMib.toFixed(0)} |`;
  };
  processes = [
    '| process, after all of the above | CPU seconds | peak memory, MiB |',
    '| --- | --- | --- |',
    lines('tidemark-relay', office.system.relay?.child.pid),
    lines('tidemark-feed (its last process)', office.system.feed?.child.pid),
  ].join('\n');
} finally {
  await office.stop();
}
add(await benchVerify());
add(...(await benchRouting()));
add(await benchSnapshot());
add(...(await benchFlatness()));
add(...(await benchFleet()));
add(...(await benchRows()));
const memory = await benchMemory();

const table = [
  '| what | ours | limit or peer in the same run | ratio | reach | met |',
  '| --- | --- | --- | --- | --- | --- |',
  ...results.map(
    ({ what, ours, limit, ratio, reach, met }) =>
      `| ${what} | ${ours} | ${limit} | ${ratio} | ${reach} | ${met === null ? '–' : met ? 'yes' : 'no'} |`,
  ),
].join('\n');
const machine = `${os.cpus()[0]?.model ?? 'unknown'}, ${os.cpus().length} cores, ${Math.round(os.totalmem() / 2 ** 30)} GiB, ${os.type()} ${os.release()}, Node ${process.versions.node}. Medians of ${RUNS}, ${new Date().toISOString().slice(0, 10)}`;
const report = `${table}\n\n${processes}\n\n${memory}\n\nMachine: ${machine}.\n`;
console.log(report);
if (process.argv.includes('--write')) {
  const file = path.join(ROOT, 'docs/performance.md');
  const text = readFileSync(file, 'utf8');
  writeFileSync(file, text.replace(/(<!-- table -->\n)[\s\S]*(<!-- \/table -->)/, `$1\n${report}\n$2`));
}
process.exit(results.some(({ met }) => met === false) ? 1 : 0);
