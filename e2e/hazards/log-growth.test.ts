import { statSync } from 'node:fs';
import { StatusJson } from '@tidemark/status/status';
import { run } from '@tidemark/testing/processes';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { args, database, relay, useTerminal } from './terminal-lab.ts';

/** A program at the PC reads the replica in one transaction while other syncs write. */

useTerminal();

const ROWS = 5000;
const logBytes = () => statSync(`${database()}-wal`, { throwIfNoEntry: false })?.size ?? 0;

/** Returns the sentences of `status --json` about the log. */
async function aboutLog(): Promise<string[]> {
  const { stdout } = await run('terminal', [...args('status'), '--json']);
  const { attention } = StatusJson.parse(JSON.parse(stdout).status);
  return attention.filter(({ code }) => code === 'log-large').map(({ text }) => text);
}

test('reader-in-transaction: status names the file and its size, and the sync after the read ends it', async () => {
  await relay.base(ROWS, (n) => `item ${Math.sin(n)}`);
  expect(await run('terminal', args('pull'))).toMatchObject({ code: 0 });
  expect(await aboutLog()).toEqual([]);
  const reader = new Database(database());
  reader.exec('BEGIN');
  expect(reader.prepare('SELECT count(*) FROM item').pluck().get()).toBe(ROWS);
  for (let n = 0; logBytes() < 40_000_000; n++) {
    const rows = Array.from({ length: ROWS }, (_, i): [number, string] => [i + 1, `${n} `.padEnd(500, String(n))]);
    for (let from = 0; from < ROWS; from += 1000) await relay.commit('u', rows.slice(from, from + 1000));
    expect(await run('terminal', args('pull'))).toMatchObject({ code: 0 });
  }
  const [text = ''] = await aboutLog();
  expect(text).toContain(`${database()}-wal has grown to`);
  expect(text).toContain('end its transaction');
  reader.exec('COMMIT');
  // The reader's connection stays open, so that closing the terminal's does not remove the log.
  expect(await run('terminal', args('pull'))).toMatchObject({ code: 0 });
  expect(await aboutLog()).toEqual([]);
  expect(logBytes()).toBeLessThan(1_000_000);
  reader.close();
});
