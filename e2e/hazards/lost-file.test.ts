import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Run } from '@tidemark/protocol/run';
import { deriveStatus } from '@tidemark/status/derive';
import { createAgent } from '@tidemark/terminal/agent/agent';
import type { Agent } from '@tidemark/terminal/agent/agent-api';
import { Secret } from '@tidemark/terminal/relay/secret';
import { until } from '@tidemark/testing/processes';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { folder, relay, useTerminal } from './terminal-lab.ts';

/**
 * The replica's file or folder is deleted, moved or replaced while a terminal has the file open. SQLite continues to write
 * to the old file, which no reader finds.
 */

useTerminal();

const ROWS = 300;
let here: string;
let db: string;
let agent: Agent;
let runs: Run[];

beforeEach(() => {
  here = path.join(folder, 'branch');
  db = path.join(here, 'branch.sqlite');
  mkdirSync(here);
  runs = [];
});
afterEach(() => agent.stop());

async function start(watch: boolean): Promise<void> {
  const options = {
    version: 'test',
    checkAtStart: false,
    freshCopy: 'take',
    giveUpAfterMs: null,
    paused: null,
  } as const;
  agent = createAgent({ ...options, databasePath: db, watch }, () => undefined);
  agent.onRun((run) => runs.push(run));
  agent.start({
    relayUrl: relay.url,
    feed: 'shop',
    token: new Secret(relay.token('terminal')),
    centralName: '',
    terminalName: '',
    everyMs: null,
    automatic: 'check',
  });
  if (!watch) agent.run('now', 'manual');
  await untilRun(({ outcome }) => outcome === 'done');
}

const untilRun = (found: (run: Run) => boolean) =>
  until(
    async () => runs.some(found),
    () => `the runs were ${JSON.stringify(runs)}`,
  );

const shown = () => deriveStatus(agent.facts(), Date.now()).code;

/** Replaces the replica's file by another one, as an editor or a restore does. */
function replaceBy(write: (file: string) => void): void {
  write(`${db}.new`);
  renameSync(`${db}.new`, db);
}

/** Counts the rows of a file and those with each name, and checks the file. */
function rowsOf(file: string): { rows: number; first: string; second: string } {
  const reader = new Database(file, { readonly: true });
  try {
    expect(reader.pragma('integrity_check', { simple: true })).toBe('ok');
    const sql = `SELECT count(*) AS rows, max(CASE id WHEN 1 THEN name END) AS first,
      max(CASE id WHEN 2 THEN name END) AS second FROM item`;
    return reader.prepare(sql).get() as { rows: number; first: string; second: string };
  } finally {
    reader.close();
  }
}

const LOSSES: [string, () => void][] = [
  ['file-deleted', () => rmSync(db)],
  ['file-moved', () => renameSync(db, `${db}.elsewhere`)],
  [
    'file-replaced-by-a-database',
    () =>
      replaceBy((file) => {
        const other = new Database(file);
        other.exec("CREATE TABLE other (a); INSERT INTO other VALUES ('kept')");
        other.close();
      }),
  ],
  ['folder-moved', () => renameSync(here, `${here}.elsewhere`)],
  ['folder-deleted', () => rmSync(here, { recursive: true })],
];

describe.each([
  ['a terminal that follows the relay', true],
  ['a terminal that syncs on request', false],
])('%s', (_, watch) => {
  test.skipIf(process.platform === 'win32').each(LOSSES)(
    '%s: reports db_unavailable instead of up to date, and the next sync uses the name again',
    async (kind, lose) => {
      await relay.base(ROWS);
      await start(watch);
      await relay.commit('u', [[1, 'before']]);
      if (!watch) agent.run('now', 'manual');
      await until(
        async () => agent.facts().replica.cursor?.seq === 2,
        () => 'the first change did not arrive',
      );

      lose();
      await relay.commit('u', [[2, 'after']]);
      runs = [];
      if (!watch) agent.run('now', 'manual');
      await untilRun(({ fault }) => fault?.code === 'db_unavailable');
      expect(shown()).not.toBe('up-to-date');

      // A folder does not come back without a person.
      if (!existsSync(here)) mkdirSync(here);
      await until(
        async () => {
          if (!watch && agent.facts().phase.kind === 'idle' && shown() !== 'up-to-date') agent.run('now', 'manual');
          return shown() === 'up-to-date';
        },
        () => `the state stayed ${shown()}`,
      );
      await agent.stop();
      expect(readdirSync(here).sort()).toEqual(
        ['branch.sqlite', 'branch.sqlite-lock', ...(kind === 'file-moved' ? ['branch.sqlite.elsewhere'] : [])].sort(),
      );
      expect(rowsOf(db)).toEqual({ rows: ROWS, first: 'before', second: 'after' });
      if (kind === 'file-moved') expect(rowsOf(`${db}.elsewhere`).first).toBe('before');
      if (kind === 'folder-moved') expect(rowsOf(path.join(`${here}.elsewhere`, 'branch.sqlite')).first).toBe('before');
      if (kind !== 'file-replaced-by-a-database') return;
      const other = new Database(db, { readonly: true });
      expect(other.prepare('SELECT a FROM other').pluck().get()).toBe('kept');
      other.close();
    },
  );

  test.skipIf(process.platform === 'win32')(
    'file-replaced-by-a-text: reports db_damaged, and leaves the text unchanged until a fresh copy is requested',
    async () => {
      await relay.base(ROWS);
      await start(watch);
      const text = 'a text that is longer than the header of a database '.repeat(20);
      replaceBy((file) => writeFileSync(file, text));
      await relay.commit('u', [[2, 'after']]);
      await until(
        async () => {
          if (!watch && agent.facts().phase.kind === 'idle' && shown() !== 'db-damaged') agent.run('now', 'manual');
          return shown() === 'db-damaged';
        },
        () => `the state stayed ${shown()}`,
      );
      expect(readdirSync(here).join(' ')).not.toContain('.damaged-');
      runs = [];
      agent.run('recopy', 'manual');
      await untilRun(({ mode, outcome }) => mode === 'recopy' && outcome === 'done');
      expect(rowsOf(db)).toMatchObject({ rows: ROWS, second: 'after' });
      expect(readdirSync(here).join(' ')).toContain('.damaged-');
    },
  );
});
