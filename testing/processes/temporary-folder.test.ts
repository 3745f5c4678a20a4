import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { identityOf, isRunning } from './process-identity.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** Gives each test its own system temporary folder, and starts processes that use it. */
let temporary: string;
beforeEach(() => {
  temporary = temporaryFolder('temporary');
});
afterEach(() => rmSync(temporary, { recursive: true, force: true }));

const RUN_FOLDER = path.join(import.meta.dirname, 'temporary-folder.ts');
const REAPER = path.join(import.meta.dirname, 'reaper.ts');
const SLEEP =
  "require('child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })";

/** Runs a script, and resolves with the first line that it prints. */
async function runScript(script: string) {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', '-e', script], {
    env: { ...process.env, TMPDIR: temporary, TMP: temporary, TEMP: temporary },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
  return { child, line: chunk.toString().trim() };
}

const CREATE = `const { temporaryFolder } = require(${JSON.stringify(RUN_FOLDER)}); const folder = temporaryFolder('x');`;
const WAIT = 'setInterval(() => {}, 1000);';
const runFolders = () => readdirSync(temporary).sort();

test('a process removes its folders when it exits', async () => {
  const { child, line } = await runScript(`${CREATE} console.log(folder);`);
  expect(path.dirname(path.dirname(line))).toBe(temporary);
  if (child.exitCode === null) await once(child, 'exit');
  expect(runFolders()).toEqual([]);
});

test('the next process removes the folders of a killed process and keeps those of a running one', async () => {
  const killed = await runScript(`${CREATE} console.log(folder); ${WAIT}`);
  const running = await runScript(`${CREATE} console.log(folder); ${WAIT}`);
  writeFileSync(path.join(killed.line, 'data'), 'x');
  killed.child.kill('SIGKILL');
  await once(killed.child, 'exit');
  expect(existsSync(killed.line)).toBe(true);
  const next = await runScript(`${CREATE} console.log(folder);`);
  if (next.child.exitCode === null) await once(next.child, 'exit');
  expect(existsSync(killed.line)).toBe(false);
  expect(existsSync(running.line)).toBe(true);
  running.child.kill('SIGKILL');
  await once(running.child, 'exit');
});

test("removes a folder whose owner's process id was reused, and keeps folders without an owner file or from another host", async () => {
  const own = identityOf(process.pid);
  const folders: Record<string, unknown> = {
    'tidemark-run-other-host': [{ ...own, host: 'elsewhere', started: 'earlier' }],
    'tidemark-run-running': [own],
    'tidemark-run-without-owner': null,
  };
  // On platforms that do not report start times, any process with the same id counts as the owner.
  if (own.started !== null) folders['tidemark-run-reused'] = [{ ...own, started: 'earlier' }];
  for (const [name, owners] of Object.entries(folders)) {
    mkdirSync(path.join(temporary, name));
    if (owners) writeFileSync(path.join(temporary, name, 'owners.json'), JSON.stringify(owners));
  }
  const { child } = await runScript(`${CREATE} console.log(folder);`);
  if (child.exitCode === null) await once(child, 'exit');
  expect(runFolders()).toEqual(['tidemark-run-other-host', 'tidemark-run-running', 'tidemark-run-without-owner']);
});

test('killing a process ends its registered children and removes its folders', async () => {
  const register = `const child = ${SLEEP}; require(${JSON.stringify(REAPER)}).endWithThisProcess(child);`;
  const { child, line } = await runScript(`${CREATE} ${register} console.log(child.pid); ${WAIT}`);
  const pid = Number(line);
  expect(isRunning(pid)).toBe(true);
  child.kill('SIGKILL');
  await vi.waitUntil(() => !isRunning(pid) && runFolders().length === 0, { timeout: 60_000 });
}, 120_000);
