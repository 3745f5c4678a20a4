import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from './app.ts';

/**
 * `npm run torture -- --minutes 60`: repeats the property tests of the complete system with new seeds. They run random
 * schemas, scopes, workloads and schema changes on a real Postgres, kill processes, keep terminals offline, and compare
 * each terminal with the master value by value. The command stops at the first failure and prints the seed that replays it.
 */
const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string' } } });
const minutes = Number(values.minutes);
if (!(minutes > 0)) {
  console.error(`usage: --minutes: ${values.minutes} is not a number of minutes`);
  process.exit(2);
}
const end = Date.now() + minutes * 60_000;
let rounds = 0;
do {
  const seed = values.seed ?? String(Math.floor(Math.random() * 1_000_000_000));
  console.log(`seed ${seed}`);
  const done = spawnSync(path.join(ROOT, 'node_modules/.bin/vitest'), ['run', '--project=pg', 'e2e/oracle/'], {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, TIDEMARK_SEED: seed },
  });
  if (done.status !== 0) {
    console.error(`Failed after ${rounds} rounds. To replay: npm run torture -- --seed ${seed}`);
    process.exit(1);
  }
  rounds++;
} while (Date.now() < end && values.seed === undefined);
console.log(`${rounds} rounds, all equal.`);
