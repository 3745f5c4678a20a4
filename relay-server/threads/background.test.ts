import { readdirSync, readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';

/** Returns the priorities of the threads of this process. */
const priorities = (): number[] =>
  readdirSync('/proc/self/task').map((thread) => {
    const stat = readFileSync(`/proc/self/task/${thread}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]);
  });

test.runIf(process.platform === 'linux')('lowers the priority of the calling thread, and of no other', async () => {
  const before = priorities().filter((priority) => priority === 10).length;
  const module = new URL('./background.ts', import.meta.url);
  const code = `import('${module}').then(({ runInBackground }) => {
    runInBackground();
    require('node:worker_threads').parentPort.on('message', () => {}).postMessage('ready');
  })`;
  const worker = new Worker(code, { eval: true });
  onTestFinished(async () => void (await worker.terminate()));
  await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  expect(priorities().filter((priority) => priority === 10).length).toBe(before + 1);
});
