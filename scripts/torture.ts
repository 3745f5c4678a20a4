import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from './app.ts';

/**
 * `npm run torture -- --minutes 60`: repeats the property tests of the complete system with new seeds. They run random
 * schemas, scopes, workloads, schema changes and faults on a real Postgres, kill and pause processes, keep terminals
 * offline, and compare each terminal with the master value by value. The command stops at the first failure and prints
 * the seed that replays it.
 *
 * `--seed 1,2,3` runs these seeds once each instead. `--fault-minutes` is how long faults occur in each round of
 * `up-to-date.pg.test.ts`, and `--only` names the file to run.
 */
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string' },
    'fault-minutes': { type: 'string', default: '2' },
    only: { type: 'string', default: '' },
  },
});

/** Returns a positive number of minutes. Ends the command if the option is none. */
function minutesOf(option: 'minutes' | 'fault-minutes'): number {
  const minutes = Number(values[option]);
  if (minutes > 0) return minutes;
  console.error(`usage: --${option}: ${values[option]} is not a number of minutes`);
  process.exit(2);
}

const end = Date.now() + minutesOf('minutes') * 60_000;
const faultMinutes = minutesOf('fault-minutes');
const chosen = values.seed?.split(',');
let rounds = 0;
for (;;) {
  const seed = chosen ? chosen[rounds] : String(Math.floor(Math.random() * 1_000_000_000));
  if (seed === undefined || (!chosen && rounds > 0 && Date.now() >= end)) break;
  console.log(`seed ${seed}`);
  const tests = path.join('e2e/oracle', values.only);
  const done = spawnSync(path.join(ROOT, 'node_modules/.bin/vitest'), ['run', '--project=pg', tests], {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, TIDEMARK_SEED: seed, TIDEMARK_FAULT_MINUTES: String(faultMinutes) },
  });
  if (done.status !== 0) {
    console.error(`Failed after ${rounds} rounds. To replay: npm run torture -- --seed ${seed}`);
    process.exit(1);
  }
  rounds++;
}
console.log(`${rounds} rounds, all equal.`);
