import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { buildApp, hasDisplay, ROOT } from './app.ts';
import { ensureSystem } from './setup.ts';

/** `npm test`: every test there is, cheap before costly. It stops at the first stage that fails, and ends with one line of counts. */

const RESULTS = path.join(ROOT, 'test-results');
const bin = (name: string) => path.join(ROOT, 'node_modules/.bin', name);

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

const total: Counts = { passed: 0, failed: 0, skipped: 0 };

function run(command: string, args: string[], env: NodeJS.ProcessEnv = {}): boolean {
  const done = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit', env: { ...process.env, ...env } });
  if (done.error) throw done.error;
  return done.status === 0;
}

function check(name: string, command: string, args: string[]): boolean {
  console.log(`\n== ${name}`);
  const ok = run(command, args);
  total[ok ? 'passed' : 'failed']++;
  return ok;
}

function vitest(project: string): boolean {
  console.log(`\n== tests: ${project}`);
  const file = path.join(RESULTS, `${project}.json`);
  const ok = run(bin('vitest'), [
    'run',
    `--project=${project}`,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${file}`,
  ]);
  const found = JSON.parse(readFileSync(file, 'utf8')) as {
    numPassedTests: number;
    numFailedTests: number;
    numPendingTests: number;
    numTodoTests: number;
  };
  return count(ok, {
    passed: found.numPassedTests,
    failed: found.numFailedTests,
    skipped: found.numPendingTests + found.numTodoTests,
  });
}

function playwright(): boolean {
  console.log('\n== tests: the real app');
  ensureSystem({ display: !hasDisplay() });
  buildApp();
  const file = path.join(RESULTS, 'electron.json');
  const test = [bin('playwright'), 'test', '--config', 'e2e/playwright.config.ts', '--reporter=list,json'];
  const virtual = ['xvfb-run', '-a', '-s', '-screen 0 1600x1000x24', ...test];
  const [command = '', ...args] = hasDisplay() ? test : virtual;
  const ok = run(command, args, { PLAYWRIGHT_JSON_OUTPUT_FILE: file });
  const { stats } = JSON.parse(readFileSync(file, 'utf8')) as {
    stats: { expected: number; unexpected: number; flaky: number; skipped: number };
  };
  return count(ok, { passed: stats.expected, failed: stats.unexpected + stats.flaky, skipped: stats.skipped });
}

/** A test that was skipped was not passed. */
function count(ok: boolean, { passed, failed, skipped }: Counts): boolean {
  total.passed += passed;
  total.failed += failed;
  total.skipped += skipped;
  return ok && failed === 0 && skipped === 0;
}

rmSync(RESULTS, { recursive: true, force: true });
mkdirSync(RESULTS, { recursive: true });
const stages: (() => boolean)[] = [
  () => check('format', bin('biome'), ['ci', '.']),
  () => check('types', bin('tsc'), ['-b']),
  () => check('lint', bin('oxlint'), ['--type-aware']),
  () => check('prose', process.execPath, ['scripts/prose/main.ts']),
  () => vitest('unit'),
  () => vitest('pg'),
  playwright,
];
let ok = true;
try {
  ok = stages.every((stage) => stage());
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  ok = false;
}
if (!ok && total.failed + total.skipped === 0) total.failed = 1;
console.log(`\n${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ''}`);
process.exitCode = ok ? 0 : 1;
