import { rmSync } from 'node:fs';
import path from 'node:path';
import { run } from '@tidemark/testing/processes';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import { TestRelay } from '@tidemark/testing/test-relay';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, test } from 'vitest';

/** Tests in which another program alters a replica between two runs of `tidemark-terminal pull`. */

let relay: TestRelay;
let folder: string;
let file: string;
beforeEach(async () => {
  relay = await TestRelay.start();
  folder = temporaryFolder('altered');
  file = path.join(folder, 'branch.sqlite');
  await relay.base(50);
  expect((await pull()).code).toBe(0);
});
afterEach(async () => {
  await relay.stop();
  rmSync(folder, { recursive: true, force: true });
});

const pull = () =>
  run('terminal', [
    ...['pull', '--relay', relay.url, '--feed', 'shop', '--db', file, '--verbose'],
    ...['--token-file', relay.tokenFile('terminal')],
  ]);

function inFile<T>(work: (db: Database.Database) => T): T {
  const db = new Database(file);
  try {
    return work(db);
  } finally {
    db.close();
  }
}

test.each([
  ['T2: a unique index', 'CREATE UNIQUE INDEX by_name ON item (name)', 'by_name'],
  ['T2: a trigger', "CREATE TRIGGER strict BEFORE UPDATE ON item BEGIN SELECT RAISE(ABORT, 'no'); END", 'strict'],
  ['T3: a dropped table', 'DROP TABLE item', null],
  ['T3: an added column', 'ALTER TABLE item ADD COLUMN mine', null],
  ['T4: dropped tables of ours', 'DROP TABLE tidemark_meta; DROP TABLE tidemark_table; DROP TABLE tidemark_run', null],
  ['T4: an invalid cursor', "UPDATE tidemark_meta SET seq = 'x', epoch = 'y'", null],
])('%s: the next pull restores the data and logs the objects that it dropped', async (_, sql, dropped) => {
  inFile((db) =>
    db.exec(`${sql}; CREATE TABLE mine (n); INSERT INTO mine VALUES (1); CREATE VIEW dear AS SELECT name FROM item`),
  );
  await relay.commit('u', [
    [1, 'same'],
    [2, 'same'],
  ]);
  const ended = await pull();
  expect(ended).toMatchObject({ code: 0 });
  inFile((db) => {
    expect(db.prepare('SELECT * FROM item ORDER BY id LIMIT 3').raw().all()).toEqual([
      [1, 'same'],
      [2, 'same'],
      [3, 'item 3'],
    ]);
    expect(db.prepare('SELECT count(*) FROM dear').pluck().get()).toBe(50);
    expect(db.prepare('SELECT n FROM mine').pluck().all()).toEqual([1]);
  });
  if (dropped === null) expect(ended.stderr).not.toContain('objects.dropped');
  else expect(ended.stderr).toMatch(new RegExp(`objects\\.dropped.*${dropped}`));
});
