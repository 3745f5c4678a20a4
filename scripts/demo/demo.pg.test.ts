import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { Running } from '@tidemark/testing/processes';
import { isRunning } from '@tidemark/testing/processes/process-identity';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ROOT } from '../app.ts';

/**
 * `npm start` on a machine without a display, ended in every way a person or a system can end it. Afterwards no process
 * of it runs, and its temporary folder is empty.
 */

/** Longer than the reaper's grace period, ms. */
const ENDS_WITHIN_MS = 120_000;

let folder: string;
let started: Running[];
beforeEach(() => {
  folder = temporaryFolder('demo');
  // Postgres runs as another user when the tests run as root.
  chmodSync(folder, 0o711);
  started = [];
});
afterEach(async () => {
  for (const demo of started) await demo.stop('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

/** Starts the demo and waits until the branch PC has received data. Gives the ids of the processes that it named. */
async function startDemo(command: string, args: string[]): Promise<{ child: ChildProcess; pids: number[] }> {
  const { DISPLAY: _, WAYLAND_DISPLAY: __, ...env } = process.env;
  const child = spawn(command, args, {
    cwd: ROOT,
    env: { ...env, TMPDIR: folder, TMP: folder, TEMP: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A session of its own, like that of a console window.
    detached: true,
    shell: command === 'npm' && process.platform === 'win32',
  });
  const demo = new Running(child);
  started.push(demo);
  await vi.waitUntil(() => /Received [\d,]+ changes/.test(demo.stdout) || child.exitCode !== null, {
    timeout: ENDS_WITHIN_MS,
  });
  const pids = [...demo.stdout.matchAll(/\(process (\d+)\)/g)].map(([, pid]) => Number(pid));
  expect(pids, demo.stdout + demo.stderr).toHaveLength(4);
  expect(pids.every(isRunning)).toBe(true);
  return { child, pids };
}

/** Processes that have the test's temporary folder in their arguments or environment (Linux). */
function processesOfDemo(): string[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid && isRunning(Number(name)))
    .flatMap((pid) => {
      const read = (file: string) => {
        try {
          return readFileSync(path.join('/proc', pid, file), 'utf8').replaceAll('\0', ' ');
        } catch {
          return '';
        }
      };
      const command = read('cmdline');
      return command.includes(folder) || read('environ').includes(folder) ? [`${pid} ${command}`] : [];
    });
}

async function expectNothingLeft(pids: number[]): Promise<void> {
  const limit = { timeout: ENDS_WITHIN_MS, interval: 100 };
  await expect.poll(() => pids.filter(isRunning), limit).toEqual([]);
  await expect.poll(processesOfDemo, limit).toEqual([]);
  await expect.poll(() => readdirSync(folder).filter((name) => name.startsWith('tidemark-run-')), limit).toEqual([]);
}

const kill = (child: ChildProcess, signal: NodeJS.Signals) => child.kill(signal);
const killGroup = (child: ChildProcess, signal: NodeJS.Signals) => process.kill(-(child.pid ?? Number.NaN), signal);
const DEMO = ['scripts/demo/main.ts'];

const WAYS: [string, string, string[], (child: ChildProcess) => void][] = [
  ['the demo is killed', process.execPath, DEMO, (child) => kill(child, 'SIGKILL')],
  ['its output pipe is closed', 'npm', ['start'], (child) => child.stdout?.destroy()],
];
// Windows has no signals: there the demo ends as if killed.
if (process.platform !== 'win32')
  WAYS.push(
    [
      'its console is closed',
      'npm',
      ['start'],
      (child) => {
        killGroup(child, 'SIGHUP');
        child.stdout?.destroy();
        child.stderr?.destroy();
      },
    ],
    ['npm is killed', 'npm', ['start'], (child) => kill(child, 'SIGKILL')],
    ['npm is stopped', 'npm', ['start'], (child) => kill(child, 'SIGTERM')],
    ['a person presses Ctrl+C', 'npm', ['start'], (child) => killGroup(child, 'SIGINT')],
  );

test.each(WAYS)('when %s, every process of the demo ends and its files are removed', async (_, command, args, end) => {
  const { child, pids } = await startDemo(command, args);
  const exited = once(child, 'exit');
  end(child);
  await exited;
  await expectNothingLeft(pids);
});
