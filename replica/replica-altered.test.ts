import { rmSync } from 'node:fs';
import path from 'node:path';
import type { TidemarkError } from '@tidemark/protocol/errors';
import { openReader } from '@tidemark/table-store/sqlite';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import { EPOCH, rowsOf, schemaOf, sorted, TestMirror } from '@tidemark/testing/test-mirror';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CheckedSnapshot } from './checked-snapshot.ts';
import { verifyPage } from './pages/page-reader.ts';
import { Replica } from './replica.ts';
import { readReplicaSummary } from './replica-summary.ts';

const ITEM = schemaOf('item', { id: 'integer', name: 'text', price: 'numeric' }, ['id']);
const PAIR = schemaOf('pair', { a: 'text', b: 'text' }, ['a', 'b']);
const LOOSE = schemaOf('loose', { at: 'text', n: 'real' }, []);
const TABLES = ['item', 'loose', 'pair'];

let folder: string;
let file: string;
let mirror: TestMirror;
let replica: Replica;

function begin(): void {
  folder = temporaryFolder('altered');
  file = path.join(folder, 'branch.sqlite');
  mirror = new TestMirror(folder);
  for (const [n, schema] of [ITEM, PAIR, LOOSE].entries()) mirror.declare(n + 1, schema);
  mirror.commit(
    [
      'i',
      1,
      [
        [1, 'pear', 1.5],
        [2, 'fig', 2],
        [3, null, null],
      ],
    ],
    ['i', 2, [['x', 'y']]],
    [
      'i',
      3,
      [
        ['now', 1],
        ['now', 1],
      ],
    ],
  );
  replica = Replica.open(file, 'shop');
  install();
}

function end(): void {
  replica.close();
  mirror.db.close();
  rmSync(folder, { recursive: true, force: true });
}

beforeEach(begin);
afterEach(end);

function install(): string[] {
  const { file: snapshot, name } = mirror.snapshot();
  return replica.installSnapshot(CheckedSnapshot.check(snapshot, name)).dropped;
}

/** Runs SQL as another program. */
function asOtherProgram(sql: string): void {
  const db = new Database(file);
  try {
    db.exec(sql);
  } finally {
    db.close();
  }
}

function inFile<T>(work: (db: ReturnType<typeof openReader>) => T): T {
  const db = openReader(file);
  try {
    return work(db);
  } finally {
    db.close();
  }
}

const here = () => inFile((db) => Object.fromEntries(TABLES.map((name) => [name, sorted(rowsOf(db, name))])));
const there = () => Object.fromEntries(TABLES.map((name) => [name, sorted(rowsOf(mirror.db, name))]));
const objects = (...names: string[]) =>
  inFile((db) => db.prepare('SELECT name FROM sqlite_schema ORDER BY name').pluck().all() as string[]).filter((name) =>
    names.includes(name),
  );
const pull = () => replica.applyPage(verifyPage(mirror.page(replica.cursorState().start.seq)));

/**
 * Syncs as the agent does: installs a snapshot when there is no data or a table was altered, otherwise applies the next
 * page.
 */
function sync(): void {
  if (replica.cursorState().cursor === null || replica.alteredTables().length > 0) install();
  else pull();
}

function codeOf(work: () => unknown): string | null {
  try {
    work();
    return null;
  } catch (error) {
    return (error as TidemarkError).code;
  }
}

/** Commits changes of every kind. */
function change(n: number): void {
  mirror.commit(
    ['u', 1, [[1, `pear ${n}`, n]]],
    [
      'i',
      1,
      [
        [100 + n, 'pear', 1.5],
        [200 + n, 'plum', 3],
      ],
    ],
    ['d', 1, [[200 + n]]],
    ['i', 2, [['x', `${n}`]]],
    ['d', 3, [['now', 1]]],
    [
      'i',
      3,
      [
        ['now', 1],
        ['then', n],
      ],
    ],
  );
}

describe('indexes and triggers of other programs', () => {
  test('T2: drops and reports a unique index that blocks a change, and deletes no rows because of it', () => {
    asOtherProgram('CREATE UNIQUE INDEX by_name ON item (name); CREATE INDEX by_price ON item (price)');
    mirror.commit(['u', 1, [[1, 'pear', 7]]]);
    expect(pull().dropped).toEqual([]);
    mirror.commit(['u', 1, [[2, 'pear', 2]]]);
    expect(pull().dropped).toEqual(['by_name']);
    expect(here()).toEqual(there());
    expect(objects('by_name', 'by_price')).toEqual(['by_price']);
  });

  test.each([
    ['refuses', "CREATE TRIGGER t BEFORE UPDATE ON item BEGIN SELECT RAISE(ABORT, 'no'); END"],
    ['rolls back', "CREATE TRIGGER t BEFORE UPDATE ON item BEGIN SELECT RAISE(ROLLBACK, 'no'); END"],
    ['skips an update', 'CREATE TRIGGER t BEFORE UPDATE ON item BEGIN SELECT RAISE(IGNORE); END'],
    ['skips a delete', 'CREATE TRIGGER t BEFORE DELETE ON item BEGIN SELECT RAISE(IGNORE); END'],
    ['writes to a missing table', 'CREATE TRIGGER t AFTER INSERT ON item BEGIN INSERT INTO gone VALUES (1); END'],
    [
      'writes to a view',
      'CREATE VIEW v AS SELECT 1 AS n; CREATE TRIGGER t AFTER INSERT ON pair BEGIN DELETE FROM v; END',
    ],
    [
      'violates a constraint of another table',
      'CREATE TABLE audit (n UNIQUE); CREATE TRIGGER t AFTER INSERT ON pair BEGIN INSERT INTO audit VALUES (1), (1); END',
    ],
    ['is on our cursor', 'CREATE TRIGGER t AFTER UPDATE ON tidemark_meta BEGIN INSERT INTO gone VALUES (1); END'],
  ])('T2: drops a trigger that %s, and applies the page', (_, sql) => {
    asOtherProgram(
      `${sql}; CREATE TABLE kept (id); CREATE TRIGGER fine AFTER INSERT ON item BEGIN INSERT INTO kept VALUES (new.id); END`,
    );
    change(1);
    expect(pull().dropped).toContain('t');
    expect(here()).toEqual(there());
    expect(objects('t', 'kept')).toEqual(['kept']);
  });

  test('T1: keeps and runs a trigger that only writes to its own table', () => {
    asOtherProgram(
      'CREATE TABLE kept (id); CREATE TRIGGER fine AFTER INSERT ON item BEGIN INSERT INTO kept VALUES (new.id); END',
    );
    change(1);
    expect(pull().dropped).toEqual([]);
    expect(inFile((db) => rowsOf(db, 'kept'))).toEqual([[101], [201]]);
  });

  test('T1: a snapshot keeps objects of other programs, except those that its rows violate', () => {
    asOtherProgram(`
      CREATE TABLE mine (n); INSERT INTO mine VALUES (1);
      CREATE VIEW dear AS SELECT * FROM item WHERE price > 1;
      CREATE INDEX by_price ON item (price);
      CREATE UNIQUE INDEX by_name ON item (name);
      CREATE TRIGGER fine AFTER INSERT ON item BEGIN INSERT INTO mine VALUES (new.id); END;
    `);
    change(1);
    mirror.commit(['u', 1, [[2, 'pear', 2]]]);
    expect(install()).toEqual(['by_name']);
    expect(here()).toEqual(there());
    expect(objects('mine', 'dear', 'by_price', 'by_name', 'fine')).toEqual(['by_price', 'dear', 'fine', 'mine']);
    expect(inFile((db) => rowsOf(db, 'mine'))).toEqual([[1]]);
  });
});

describe('feed tables that another program altered', () => {
  const ALTERATIONS = [
    ['dropped', 'DROP TABLE item'],
    ['renamed', 'ALTER TABLE item RENAME TO items'],
    ['with one more column', "ALTER TABLE item ADD COLUMN mine TEXT DEFAULT 'x'"],
    ['without a column', 'ALTER TABLE item DROP COLUMN price'],
    ['with a renamed column', 'ALTER TABLE item RENAME COLUMN price TO cost'],
    [
      'with another type',
      'DROP TABLE item; CREATE TABLE "item" ("id" INTEGER PRIMARY KEY NOT NULL, "name" TEXT, "price" TEXT)',
    ],
    ['without its key', 'CREATE TABLE c AS SELECT * FROM item; DROP TABLE item; ALTER TABLE c RENAME TO item'],
    [
      'with a check',
      'DROP TABLE item; CREATE TABLE "item" ("id" INTEGER PRIMARY KEY NOT NULL, "name" TEXT, "price" NUMERIC CHECK (price < 1))',
    ],
  ] as const;

  test.each(ALTERATIONS)(
    'T3: table %s: the replica reports it and rejects pages, and a snapshot restores it',
    (_, sql) => {
      asOtherProgram(sql);
      const before = replica.cursorState();
      change(1);
      expect(codeOf(() => pull())).toBe('replica_altered');
      expect(replica.alteredTables()).toEqual(['item']);
      expect(replica.cursorState()).toEqual(before);
      install();
      expect(replica.alteredTables()).toEqual([]);
      expect(here()).toEqual(there());
      change(2);
      pull();
      expect(here()).toEqual(there());
    },
  );

  test.each(ALTERATIONS)(
    'T3: table %s while the replica is closed: the replica reports it, and a snapshot restores it',
    (_, sql) => {
      replica.close();
      asOtherProgram(sql);
      replica = Replica.open(file, 'shop');
      expect(replica.alteredTables()).toEqual(['item']);
      expect(replica.cursorState().cursor).not.toBeNull();
      install();
      expect(here()).toEqual(there());
    },
  );

  test("T1: a snapshot throws name_clash when a view has a table's name, and keeps the view", () => {
    asOtherProgram('DROP TABLE item; CREATE VIEW item AS SELECT 1 AS id');
    expect(replica.alteredTables()).toEqual(['item']);
    expect(codeOf(install)).toBe('name_clash');
    expect(inFile((db) => rowsOf(db, 'item'))).toEqual([[1]]);
    expect(replica.tables()).toHaveLength(3);
    asOtherProgram('DROP VIEW item');
    install();
    expect(here()).toEqual(there());
  });

  test.each([
    ['an index of another table', 'CREATE TABLE zone (v); CREATE INDEX tidemark_all_3 ON zone (v)'],
    ['an index of another table, in capitals', 'CREATE TABLE zone (v); CREATE INDEX TIDEMARK_ALL_3 ON zone (v)'],
    ['an index of another table of the feed', 'CREATE INDEX tidemark_all_3 ON item (price)'],
    ['a unique index', 'CREATE UNIQUE INDEX tidemark_all_3 ON item (id)'],
    ['a table', 'CREATE TABLE tidemark_all_3 (v); CREATE INDEX mine ON tidemark_all_3 (v)'],
    ['a view', 'CREATE VIEW tidemark_all_3 AS SELECT name FROM item'],
  ])('T3: %s under the name of one of our indexes is dropped, and the index is created', (_, sql) => {
    for (const [n, again] of [pull, install].entries()) {
      asOtherProgram(`DROP INDEX tidemark_all_3; ${sql}`);
      change(n);
      again();
      expect(replica.alteredTables()).toEqual([]);
      const index = "SELECT tbl_name FROM sqlite_schema WHERE name = 'tidemark_all_3' AND type = 'index'";
      expect(inFile((db) => db.prepare(index).pluck().all())).toEqual(['loose']);
      expect(here()).toEqual(there());
      asOtherProgram('DROP TABLE IF EXISTS zone');
    }
  });

  test('T3: creates one of our indexes again after another program dropped it', () => {
    asOtherProgram('DROP INDEX tidemark_all_3');
    expect(replica.alteredTables()).toEqual([]);
    expect(objects('tidemark_all_3')).toEqual(['tidemark_all_3']);
  });
});

describe('our own tables', () => {
  const LOST = [
    ['meta dropped', 'DROP TABLE tidemark_meta'],
    ['meta emptied', 'DELETE FROM tidemark_meta'],
    ['meta replaced by another table', 'DROP TABLE tidemark_meta; CREATE TABLE tidemark_meta (mine)'],
    ['tables dropped', 'DROP TABLE tidemark_table'],
    ['tables emptied', 'DELETE FROM tidemark_table'],
    ['one feed table and its row deleted', "DELETE FROM tidemark_table WHERE name = 'item'; DROP TABLE item"],
    [
      'everything dropped',
      'DROP TABLE tidemark_meta; DROP TABLE tidemark_table; DROP TABLE tidemark_spool; DROP TABLE tidemark_status; DROP TABLE tidemark_run; DROP TABLE tidemark_sample',
    ],
    ['seq is text', "UPDATE tidemark_meta SET seq = 'many'"],
    ['seq is negative', 'UPDATE tidemark_meta SET seq = -4'],
    ['seq is a fraction', 'UPDATE tidemark_meta SET seq = 1.5'],
    ['epoch is malformed', "UPDATE tidemark_meta SET epoch = 'E!'"],
    ['epoch is NULL', 'UPDATE tidemark_meta SET epoch = NULL'],
    ['scopes are NULL', 'UPDATE tidemark_meta SET scopes = NULL'],
    ['compaction target is text', "UPDATE tidemark_meta SET squashed = 'x'"],
    ['a part without a spool', 'UPDATE tidemark_meta SET part = 3'],
    ['a spool without a part', "INSERT INTO tidemark_spool (body) VALUES ('x')"],
  ] as const;

  test.each(LOST)('T4: %s: the replica counts as empty, and a snapshot restores it', (_, sql) => {
    asOtherProgram(sql);
    expect(replica.cursorState()).toMatchObject({ cursor: null, start: { seq: 0, part: 0 } });
    expect(codeOf(() => replica.applyPage(verifyPage(mirror.page(2))))).toMatch(
      /^(page_out_of_order|replica_altered)$/,
    );
    change(1);
    install();
    expect(here()).toEqual(there());
    expect(replica.cursorState()).toMatchObject({ cursor: { epoch: EPOCH, seq: mirror.head }, scopes: 'all' });
    change(2);
    pull();
    expect(here()).toEqual(there());
  });

  test.each(LOST)(
    'T4: %s while the replica is closed: the summary shows no data, and opening the replica repairs the tables',
    (name, sql) => {
      replica.close();
      asOtherProgram(sql);
      const summary = readReplicaSummary(file, 'shop');
      // The summary does not compare the list of tables with the catalogue. Opening the replica for writing does.
      if (!/^(tables emptied|one feed table)/.test(name)) expect(summary.cursor).toBeNull();
      replica = Replica.open(file, 'shop');
      expect(replica.cursorState().cursor).toBeNull();
      install();
      expect(here()).toEqual(there());
    },
  );

  test.each([
    ['status dropped', 'DROP TABLE tidemark_status'],
    ['status replaced by a view', 'DROP TABLE tidemark_status; CREATE VIEW tidemark_status AS SELECT 1 AS one'],
    ['status replaced by an index', 'DROP TABLE tidemark_status; CREATE INDEX tidemark_status ON pair (b)'],
    ['runs dropped', 'DROP TABLE tidemark_run'],
    ['an index replaced by a table', 'DROP TABLE tidemark_run; CREATE TABLE tidemark_run_started (v)'],
    ['samples dropped', 'DROP TABLE tidemark_sample'],
    ['malformed runs', "INSERT INTO tidemark_run VALUES ('a', '2026', '{'), ('b', '2026', '{}'), ('c', '2026', x'00')"],
    ['malformed samples', "INSERT INTO tidemark_sample VALUES (1, 'many', 'x', x'00')"],
    ['malformed commit time', "UPDATE tidemark_meta SET committed_at = 'yesterday'"],
    ['application id and version lost', 'PRAGMA application_id = 0; PRAGMA user_version = 0'],
    ['malformed row count', "UPDATE tidemark_table SET rows = 'many' WHERE name = 'pair'"],
  ])('T4: %s: the replica keeps its cursor and applies the next page', (_, sql) => {
    for (const reopen of [false, true]) {
      if (reopen) replica.close();
      asOtherProgram(sql);
      if (reopen) {
        expect(readReplicaSummary(file, 'shop')).toMatchObject({ cursor: { seq: mirror.head }, lastRun: null });
        replica = Replica.open(file, 'shop');
      }
      change(reopen ? 2 : 1);
      expect(replica.summary()).toMatchObject({ cursor: { seq: mirror.head - 1 }, lastRun: null, lastSuccess: null });
      expect(replica.history.runs(null, 10)).toEqual([]);
      expect(replica.history.samples(0).every(({ waiting, lagMs }) => waiting === null && lagMs === null)).toBe(true);
      pull();
      const nothing = { checkedAt: null, syncedAt: null, headSeq: null, waiting: null };
      replica.history.setStatus({ ...nothing, code: 'up-to-date', headline: 'Up to date' });
      expect(here()).toEqual(there());
      asOtherProgram('DELETE FROM tidemark_sample; DELETE FROM tidemark_run');
    }
  });

  test('T4: a malformed stored schema counts as an altered table, and a snapshot restores it', () => {
    asOtherProgram("UPDATE tidemark_table SET schema = '{' WHERE name = 'item'");
    expect(replica.alteredTables()).toEqual(['item']);
    expect(codeOf(() => replica.applyPage(verifyPage(mirror.page(2))))).toBe('replica_altered');
    install();
    expect(replica.alteredTables()).toEqual([]);
    expect(here()).toEqual(there());
  });

  test('migrates a replica of format 1 in place, whose summary is readable before the migration', () => {
    replica.close();
    asOtherProgram(
      'ALTER TABLE tidemark_meta DROP COLUMN squashed; ALTER TABLE tidemark_meta DROP COLUMN tables; PRAGMA user_version = 1',
    );
    expect(readReplicaSummary(file, 'shop')).toMatchObject({ cursor: { epoch: EPOCH, seq: 2 }, scopes: 'all' });
    replica = Replica.open(file, 'shop');
    expect(replica.cursorState().cursor).toEqual({ epoch: EPOCH, seq: 2 });
    expect(inFile((db) => db.pragma('user_version', { simple: true }))).toBe(3);
    change(1);
    pull();
    expect(here()).toEqual(there());
  });

  test('T5: rejects a page of another set of scopes', () => {
    change(1);
    const before = replica.cursorState();
    expect(() => replica.applyPage(verifyPage(mirror.page(2, 'branch7')))).toThrowError(
      /of the scopes branch7, the data here of all/,
    );
    expect(replica.cursorState()).toEqual(before);
  });
});

test("P3: after any damage by other programs, the next pulls restore the data and keep those programs' objects", () => {
  const DAMAGE = [
    'DROP TABLE IF EXISTS item',
    'DROP TABLE IF EXISTS loose',
    'ALTER TABLE pair ADD COLUMN mine',
    'DROP TABLE tidemark_meta',
    'DROP TABLE tidemark_status',
    'DELETE FROM tidemark_table',
    'UPDATE tidemark_meta SET seq = -1',
    "UPDATE tidemark_table SET schema = 'x'",
    'DROP INDEX IF EXISTS tidemark_all_3',
    'CREATE UNIQUE INDEX IF NOT EXISTS by_name ON item (name)',
    'CREATE TRIGGER IF NOT EXISTS tr BEFORE INSERT ON item BEGIN SELECT RAISE(IGNORE); END',
    'CREATE TRIGGER IF NOT EXISTS tr2 AFTER DELETE ON loose BEGIN DELETE FROM nowhere; END',
    'CREATE VIEW IF NOT EXISTS looks AS SELECT name FROM item',
  ];
  fc.assert(
    fc.property(fc.array(fc.array(fc.constantFrom(...DAMAGE), { maxLength: 4 }), { maxLength: 4 }), (rounds) => {
      end();
      begin();
      asOtherProgram(
        'CREATE TABLE mine (n); INSERT INTO mine VALUES (7); CREATE VIEW item_names AS SELECT name FROM item',
      );
      rounds.forEach((statements, n) => {
        // An altered table that neither of our lists names looks like another program's.
        const unattributable =
          statements.includes('DROP TABLE tidemark_meta') && statements.includes('DELETE FROM tidemark_table');
        for (const sql of statements.filter((sql) => !unattributable || !sql.startsWith('ALTER'))) {
          try {
            asOtherProgram(sql);
          } catch {
            // The statement fails when an earlier one has already removed its target.
          }
        }
        change(n + 1);
        sync();
        expect(here()).toEqual(there());
        expect(replica.alteredTables()).toEqual([]);
        expect(inFile((db) => rowsOf(db, 'mine'))).toEqual([[7]]);
        expect(objects('item_names')).toEqual(['item_names']);
      });
    }),
    { numRuns: 60 },
  );
}, 60_000);
