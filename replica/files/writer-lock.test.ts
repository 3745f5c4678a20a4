import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { openReader, openWriter } from '@tidemark/table-store/sqlite';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import { afterEach, expect, test } from 'vitest';
import { WriterLock } from './writer-lock.ts';

const MODULE = pathToFileURL(path.join(import.meta.dirname, 'writer-lock.ts')).href;
/** Takes the lock and blocks its thread, as a suspended or busy process does. */
const HOLDER = `
  import { writeSync } from 'node:fs';
  const { WriterLock } = await import(${JSON.stringify(MODULE)});
  globalThis.lock = new WriterLock(process.argv[1]);
  writeSync(1, 'locked');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);`;

const inUse = expect.objectContaining({ code: 'db_in_use' });

let holder: ChildProcess | undefined;
afterEach(() => holder?.kill('SIGKILL'));

test('a blocked process keeps the lock, and a killed one releases it', async () => {
  const file = path.join(temporaryFolder('writer-lock'), 'branch.sqlite');
  const child = spawn(process.execPath, ['--input-type=module', '-e', HOLDER, file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  holder = child;
  await once(child.stdout, 'data');
  expect(() => new WriterLock(file)).toThrowError(inUse);

  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
  new WriterLock(file).release();
}, 120_000);

test('the lock does not block readers of the replica', () => {
  const file = path.join(temporaryFolder('writer-lock'), 'branch.sqlite');
  openWriter(file, { synchronous: 'normal' }).close();
  const lock = new WriterLock(file);
  const reader = openReader(file);
  expect(reader.prepare('SELECT 1').pluck().get()).toBe(1);
  reader.close();
  expect(() => new WriterLock(file)).toThrowError(inUse);
  lock.release();
  new WriterLock(file).release();
});
