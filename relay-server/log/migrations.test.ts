import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { query, row, TEXT, UNKNOWN } from '@tidemark/table-store/query';
import { openWriter, type Writer } from '@tidemark/table-store/sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FEED_ROW, FEED_SQL } from './log-format.ts';
import { migrate } from './migrations.ts';

let folder: string;
let db: Writer;
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'tidemark-store-'));
  db = openWriter(path.join(folder, 'feed.sqlite'), { synchronous: 'normal' });
});
afterEach(() => {
  db.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The SQL of a store in each released format, with the head at 5 and the horizon at 2. */
const RELEASED: Record<number, string> = {
  0: `
CREATE TABLE tidemark_feed (
  one INTEGER PRIMARY KEY CHECK (one = 1), epoch TEXT NOT NULL, head INTEGER NOT NULL, horizon INTEGER NOT NULL,
  position TEXT, source TEXT, committed_at TEXT, next_table_id INTEGER NOT NULL
);
CREATE TABLE tidemark_schema (id INTEGER PRIMARY KEY, schema TEXT NOT NULL);
CREATE TABLE tidemark_log (
  scope TEXT NOT NULL, seq INTEGER NOT NULL, part INTEGER NOT NULL,
  body BLOB NOT NULL, changes INTEGER NOT NULL, ids TEXT NOT NULL, last INTEGER NOT NULL,
  PRIMARY KEY (scope, seq, part)
);
CREATE TABLE tidemark_transaction (
  scope TEXT NOT NULL, seq INTEGER NOT NULL, committed_at TEXT NOT NULL, changes INTEGER NOT NULL, bytes INTEGER NOT NULL,
  tables TEXT NOT NULL, sum_transactions INTEGER NOT NULL, sum_changes INTEGER NOT NULL, sum_bytes INTEGER NOT NULL,
  PRIMARY KEY (scope, seq)
) WITHOUT ROWID;
CREATE TABLE tidemark_table_change (
  scope TEXT NOT NULL, name TEXT NOT NULL, seq INTEGER NOT NULL, committed_at TEXT NOT NULL, sum_changes INTEGER NOT NULL,
  PRIMARY KEY (scope, name, seq)
) WITHOUT ROWID;
INSERT INTO tidemark_feed VALUES (1, 'aaaaaaaaaa', 5, 2, '00000000000000A0', 'postgres 7/shop', '2026-01-02T03:04:05.123456Z', 3);
INSERT INTO tidemark_schema VALUES (1, '{}');
INSERT INTO tidemark_log VALUES ('*', 5, 1, x'0a', 1, '[1]', 1);
`,
  2: `
CREATE TABLE tidemark_feed (
  one INTEGER PRIMARY KEY CHECK (one = 1), epoch TEXT NOT NULL, head INTEGER NOT NULL, horizon INTEGER NOT NULL,
  position TEXT, source TEXT, committed_at TEXT, next_table_id INTEGER NOT NULL, based_at TEXT, based_why TEXT, filters TEXT
);
CREATE TABLE tidemark_schema (id INTEGER PRIMARY KEY, schema TEXT NOT NULL);
CREATE TABLE tidemark_log (
  n INTEGER PRIMARY KEY, scope TEXT NOT NULL, seq INTEGER NOT NULL, part INTEGER NOT NULL,
  body BLOB NOT NULL, changes INTEGER NOT NULL, ids TEXT NOT NULL, committed_at TEXT NOT NULL
);
CREATE UNIQUE INDEX tidemark_log_scope ON tidemark_log (scope, seq, part);
CREATE TABLE tidemark_seq (
  seq INTEGER PRIMARY KEY, committed_at TEXT NOT NULL, last_log INTEGER NOT NULL, sum_bytes INTEGER NOT NULL
);
CREATE TABLE tidemark_transaction (
  scope TEXT NOT NULL, seq INTEGER NOT NULL, committed_at TEXT NOT NULL, changes INTEGER NOT NULL, bytes INTEGER NOT NULL,
  tables TEXT NOT NULL, sum_transactions INTEGER NOT NULL, sum_changes INTEGER NOT NULL, sum_bytes INTEGER NOT NULL,
  PRIMARY KEY (scope, seq)
) WITHOUT ROWID;
CREATE TABLE tidemark_table_change (
  scope TEXT NOT NULL, name TEXT NOT NULL, seq INTEGER NOT NULL, committed_at TEXT NOT NULL,
  sum_changes INTEGER NOT NULL, rows INTEGER NOT NULL, PRIMARY KEY (scope, name, seq)
) WITHOUT ROWID;
INSERT INTO tidemark_feed VALUES (1, 'aaaaaaaaaa', 5, 2, '00000000000000A0', 'postgres 7/shop', '2026-01-02T03:04:05.123456Z', 3, NULL, NULL, '');
INSERT INTO tidemark_schema VALUES (1, '{}');
INSERT INTO tidemark_log VALUES (1, '*', 5, 1, x'0a', 1, '[1]', '2026-01-02T03:04:05.123456Z');
PRAGMA user_version = 2;
`,
};

/** Returns the columns and keys of every table, independent of the text of its SQL. */
const structure = () => {
  const tables = query(
    db,
    "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name",
    row({ name: TEXT }),
  ).all();
  return tables.map(({ name }) => [name, db.pragma(`table_xinfo(${name})`), db.pragma(`index_list(${name})`)]);
};

test.each(Object.keys(RELEASED).map(Number))(
  'a store of format %d keeps its seq and has the tables of a new store',
  (format) => {
    migrate(db);
    const present = structure();
    db.close();
    rmSync(path.join(folder, 'feed.sqlite'));
    db = openWriter(path.join(folder, 'feed.sqlite'), { synchronous: 'normal' });
    db.exec(RELEASED[format] ?? '');

    migrate(db);
    expect(structure()).toEqual(present);
    expect(query(db, FEED_SQL, FEED_ROW).one()).toEqual({
      epoch: 'aaaaaaaaaa',
      head: 5,
      // Increments of format 0 have no scope and are dropped, so pulls start from the head.
      horizon: format === 0 ? 5 : 2,
      position: '00000000000000A0',
      source: 'postgres 7/shop',
      committedAt: '2026-01-02T03:04:05.123456Z',
      nextTableId: 3,
      basedAt: null,
      basedWhy: null,
    });
    expect(db.pragma('user_version', { simple: true })).toBe(2);
  },
);

test('a new store begins an epoch and keeps it when the relay reopens the store', () => {
  migrate(db);
  const first = query(db, FEED_SQL, FEED_ROW).one();
  expect(first).toMatchObject({ head: 0, horizon: 0, position: null, committedAt: null, nextTableId: 1 });
  migrate(db);
  expect(query(db, FEED_SQL, FEED_ROW).one()).toEqual(first);
});

test('refuses a store of a newer format and leaves it unchanged', () => {
  db.exec('CREATE TABLE tidemark_feed (later); PRAGMA user_version = 3');
  expect(() => migrate(db)).toThrow(
    expect.objectContaining({ code: 'db_newer_version', params: expect.objectContaining({ found: 3, known: 2 }) }),
  );
  expect(query(db, 'SELECT name FROM sqlite_schema', row({ name: UNKNOWN })).all()).toEqual([
    { name: 'tidemark_feed' },
  ]);
});
