import { chmodSync, rmSync } from 'node:fs';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ROOT } from '../app.ts';
import { DemoRun } from './demo-run.ts';

/**
 * Runs `npm start` on a machine without a display and ends it in every way that a person or the system can. Afterwards
 * none of its processes may run, and its temporary files must be removed.
 */

let folder: string;
let demo: DemoRun | null;
beforeEach(() => {
  folder = temporaryFolder('demo');
  // Postgres runs as another user when root starts the tests.
  chmodSync(folder, 0o711);
  demo = null;
});
afterEach(async () => {
  await demo?.output.stop('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

type End = (demo: DemoRun) => void;

const WAYS: [string, string, string[], End][] = [
  ['the demo is killed', process.execPath, ['scripts/demo/main.ts'], ({ child }) => child.kill('SIGKILL')],
  ['its output pipe is closed', 'npm', ['start'], ({ child }) => child.stdout?.destroy()],
];
// Windows has no signals: ending a process there means killing it.
if (process.platform !== 'win32') {
  const closeConsole: End = (run) => {
    run.signalConsole('SIGHUP');
    run.child.stdout?.destroy();
    run.child.stderr?.destroy();
  };
  WAYS.push(
    ['its console is closed', 'npm', ['start'], closeConsole],
    ['npm is killed', 'npm', ['start'], ({ child }) => child.kill('SIGKILL')],
    ['npm is stopped', 'npm', ['start'], ({ child }) => child.kill('SIGTERM')],
    ['a person presses Ctrl+C', 'npm', ['start'], (run) => run.signalConsole('SIGINT')],
  );
}

test.each(WAYS)('when %s, every process of the demo ends and its files are removed', async (_, command, args, end) => {
  demo = DemoRun.start(folder, command, args, { cwd: ROOT });
  await demo.receivedData();
  end(demo);
  await demo.exited();
  await demo.nothingLeft();
  expect(demo.pids).toHaveLength(4);
});
