import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { endWithThisProcess } from '@tidemark/testing/processes/reaper';
import { buildApp, hasDisplay, ROOT } from '../app.ts';
import { ensureSystem } from '../setup.ts';
import type { Counts, StageResult } from './summary.ts';

/**
 * The stages of `npm test`, fastest first. A stage returns its counts and never throws, so that the later stages run
 * too. Each tool is started from its JavaScript file, because the links in node_modules/.bin need a shell on Windows.
 */

export interface Stage {
  name: string;
  run(): Promise<StageResult>;
}

const MODULES = path.join(ROOT, 'node_modules');
export const RESULTS = path.join(ROOT, 'test-results');

/** Returns the stage of a tool that only passes or fails. */
function check(name: string, file: string, args: string[]): Stage {
  return stage(name, async () => {
    const code = await node(file, args);
    return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 };
  });
}

interface VitestReport {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
}

function vitest(project: string): Stage {
  return stage(project, async () => {
    const file = path.join(RESULTS, `${project}.json`);
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
    const code = await node(`${MODULES}/vitest/vitest.mjs`, ['run', `--project=${project}`, ...reporters]);
    const report = JSON.parse(readFileSync(file, 'utf8')) as VitestReport;
    const failed = report.numFailedTests;
    const skipped = report.numPendingTests + report.numTodoTests;
    // A test file that does not load, or an error outside a test, fails the run although no test fails.
    return { passed: report.numPassedTests, failed: code !== 0 && failed === 0 ? 1 : failed, skipped };
  });
}

interface PlaywrightReport {
  stats: { expected: number; unexpected: number; flaky: number; skipped: number };
}

/** Tests the app in a real Electron, on a virtual display when the machine has none. */
function playwright(): Stage {
  return stage('app', async () => {
    ensureSystem({ display: !hasDisplay() });
    buildApp();
    const file = path.join(RESULTS, 'electron.json');
    const cli = path.join(MODULES, '@playwright/test/cli.js');
    const test = [cli, 'test', '--config', 'e2e/playwright.config.ts', '--reporter=list,json'];
    const env = { PLAYWRIGHT_JSON_OUTPUT_FILE: file };
    const virtual = ['-a', '-s', '-screen 0 1600x1000x24', process.execPath, ...test];
    const code = hasDisplay() ? await run(process.execPath, test, env) : await run('xvfb-run', virtual, env);
    const { stats } = JSON.parse(readFileSync(file, 'utf8')) as PlaywrightReport;
    const failed = stats.unexpected + stats.flaky;
    return { passed: stats.expected, failed: code !== 0 && failed === 0 ? 1 : failed, skipped: stats.skipped };
  });
}

export const STAGES: readonly Stage[] = [
  check('format', `${MODULES}/@biomejs/biome/bin/biome`, ['ci', '.']),
  check('types', `${MODULES}/typescript/bin/tsc`, ['-b']),
  check('lint', `${MODULES}/oxlint/bin/oxlint`, ['--type-aware']),
  check('prose', 'scripts/prose/main.ts', []),
  check('unused', `${MODULES}/knip/bin/knip.js`, []),
  vitest('unit'),
  vitest('pg'),
  playwright(),
  // The stage runs commands as another user, whose path contains no compilers.
  ...(process.platform === 'linux' ? [vitest('clone')] : []),
];

function stage(name: string, count: () => Promise<Counts>): Stage {
  return {
    name,
    async run() {
      const begun = performance.now();
      const result = (counts: Counts, broken: string | null) => ({
        name,
        ...counts,
        durationMs: performance.now() - begun,
        broken,
      });
      try {
        return result(await count(), null);
      } catch (error) {
        return result({ passed: 0, failed: 1, skipped: 0 }, error instanceof Error ? error.message : String(error));
      }
    },
  };
}

const node = (file: string, args: string[]) => run(process.execPath, [file, ...args]);

/** Runs a program in this console and returns its exit code, or null when a signal ended it. */
function run(command: string, args: string[], env: NodeJS.ProcessEnv = {}): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: ROOT, stdio: 'inherit', env: { ...process.env, ...env } });
    endWithThisProcess(child);
    child.once('error', reject);
    child.once('close', (code) => resolve(code));
  });
}
