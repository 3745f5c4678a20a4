import { mkdirSync, rmSync } from 'node:fs';
import { useCompileCache } from '@tidemark/testing/processes/compile-cache';
import { RESULTS, STAGES } from './stages.ts';
import { isPassed, type StageResult, summarise } from './summary.ts';

/**
 * `npm test [-- stage…]`: runs every check and every test, or only the named stages. A failed stage does not stop the
 * next one. The last line of the output is the total: `N passed, N failed`, followed by `, N skipped` when there are
 * any.
 */

const names = process.argv.slice(2);
const unknown = names.filter((name) => !STAGES.some((stage) => stage.name === name));
if (unknown.length > 0) {
  console.error(`usage: unknown stage ${unknown.join(', ')}. Stages: ${STAGES.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}

// The running stage receives Ctrl+C too and ends. This process then prints the summary of the tests that ran.
let interrupted = false;
process.on('SIGINT', () => {
  interrupted = true;
});

useCompileCache();
rmSync(RESULTS, { recursive: true, force: true });
mkdirSync(RESULTS, { recursive: true });

const results: StageResult[] = [];
for (const stage of STAGES) {
  if (interrupted || (names.length > 0 && !names.includes(stage.name))) continue;
  console.log(`\n== ${stage.name}`);
  results.push(await stage.run());
}
console.log('\n== summary');
for (const line of summarise(results)) console.log(line);
process.exitCode = !interrupted && isPassed(results) ? 0 : 1;
