import { readdirSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import { BACKGROUND } from './background.ts';

/** Returns the priorities of the threads of this process. */
const priorities = (): number[] =>
  readdirSync('/proc/self/task').map((thread) => {
    const stat = readFileSync(`/proc/self/task/${thread}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]);
  });

test.runIf(process.platform === 'linux')('lowers the priority of the calling thread, and of no other', async () => {
  const lowered = Math.min(19, getPriority() + BACKGROUND);
  const count = () => priorities().filter((priority) => priority === lowered).length;
  const before = count();
  const module = new URL('./background.ts', import.meta.url);
  const code = `import('${module}').then(({ runInBackground }) => {
    runInBackground();
    require('node:worker_threads').parentPort.on('message', () => {}).postMessage('ready');
  })`;
  const worker = new Worker(code, { eval: true });
  onTestFinished(async () => void (await worker.terminate()));
  await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  expect(count()).toBe(before + 1);
});
