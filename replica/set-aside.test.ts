import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { seq } from '@tidemark/protocol/cursor';
import type { WireRow } from '@tidemark/protocol/lines';
import { openReader } from '@tidemark/table-store/sqlite';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import { EPOCH, rowsOf, schemaOf, TestMirror } from '@tidemark/testing/test-mirror';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CheckedSnapshot } from './checked-snapshot.ts';
import { verifyPage } from './pages/page-reader.ts';
import { Replica } from './replica.ts';
import { readReplicaSummary } from './replica-summary.ts';

/** Tests of tables that are set aside (F17): mark and data change in one transaction, and SQL shows both. */

const ORDERS = schemaOf('orders', { id: 'integer', note: 'text' }, ['id']);
const STOCK = schemaOf('stock', { id: 'integer', amount: 'integer' }, ['id']);
const AS_OF = '2026-11-23T07:00:00.000000Z';
const MARK = { reason: 'row_too_large', asOf: AS_OF } as const;
const COLUMNS = ['id', 'note'];

let folder: string;
let mirror: TestMirror;
let replica: Replica;

beforeEach(() => {
  folder = temporaryFolder('set-aside');
  mirror = new TestMirror(folder);
  mirror.declare(1, ORDERS);
  mirror.declare(2, STOCK);
  mirror.declare(3, { ...ORDERS, setAside: MARK });
  mirror.declare(4, ORDERS);
  mirror.commit(['i', 1, [[1, 'old']]], ['i', 2, [[1, 10]]]);
  replica = Replica.open(path.join(folder, 'branch.sqlite'), 'shop');
});

afterEach(() => {
  replica.close();
  mirror.db.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Installs a copy at the mirror's head: by renaming its file the first time, and by copying its rows after that. */
function install(): void {
  const { file, name } = mirror.snapshot();
  replica.installSnapshot(CheckedSnapshot.check(file, name));
}

function sql(text: string): unknown[] {
  const reader = openReader(replica.file);
  try {
    return reader.prepare(text).all();
  } finally {
    reader.close();
  }
}

const status = () => sql('SELECT epoch, seq, committed_at, tables_set_aside FROM tidemark_status');
const tables = () => sql('SELECT * FROM tidemark_table_status ORDER BY name');
const statusAt = (at: number, setAside: number) => [
  { epoch: EPOCH, seq: at, committed_at: '2026-11-23T08:00:00.000000Z', tables_set_aside: setAside },
];
const MARKED = { name: 'orders', rows: 1, set_aside: 1, reason: 'row_too_large', as_of: AS_OF };
const FOLLOWS = { name: 'orders', rows: 1, set_aside: 0, reason: null, as_of: null };
const pull = (from: number) => replica.applyPage(verifyPage(mirror.page(from)));

test('a page that carries a mark changes the mark, the rows and tidemark_status in one transaction', () => {
  install();
  mirror.commit(['a', 3, 1, COLUMNS], ['u', 2, [[1, 11]]]);
  const applied = pull(2);
  expect(tables()).toEqual([MARKED, { ...FOLLOWS, name: 'stock' }]);
  expect(status()).toEqual(statusAt(3, 1));
  expect(replica.tables()).toEqual([
    { name: 'orders', rows: 1, setAside: MARK },
    { name: 'stock', rows: 1 },
  ]);
  expect(readReplicaSummary(replica.file, 'shop').tables).toEqual(replica.tables());
  // The mark is not a change of rows.
  expect(applied.tables.map(({ name, truncated }) => [name, truncated])).toEqual([['stock', 0]]);

  mirror.commit(['a', 4, 3, COLUMNS], ['u', 4, [[1, 'new']]]);
  pull(3);
  expect(tables()).toEqual([FOLLOWS, { ...FOLLOWS, name: 'stock' }]);
  expect(status()).toEqual(statusAt(4, 0));
  expect(sql('SELECT note FROM orders')).toEqual([{ note: 'new' }]);
});

test('a mark keeps rows, indexes and triggers of other programs', () => {
  install();
  const reports = 'CREATE INDEX by_note ON orders (note); CREATE VIEW report AS SELECT * FROM orders';
  const other = new Database(replica.file);
  other.exec(reports);
  other.close();
  mirror.commit(['a', 3, 1, COLUMNS]);
  expect(pull(2).dropped).toEqual([]);
  expect(sql('SELECT * FROM report')).toEqual([{ id: 1, note: 'old' }]);
  expect(sql("SELECT name FROM sqlite_schema WHERE name = 'by_note'")).toHaveLength(1);
});

test('a page that fails leaves the mark unchanged', () => {
  install();
  mirror.commit(['a', 3, 1, COLUMNS], ['u', 2, [[1, 11]]]);
  // The commit line announces another number of changes than the transaction has.
  const page = mirror.page(2).toString().replace('["c",3,2]', '["c",3,9]').split('\n').slice(0, -2);
  const body = `${page.join('\n')}\n`;
  const sha256 = createHash('sha256').update(body).digest('hex');
  const invalid = Buffer.from(`${body}${JSON.stringify({ next: { seq: 3, part: 0 }, changes: 2, sha256 })}\n`);
  expect(() => replica.applyPage(verifyPage(invalid))).toThrowError(expect.objectContaining({ code: 'page_invalid' }));
  expect(status()).toEqual(statusAt(2, 0));
  expect(tables()).toContainEqual(FOLLOWS);
});

describe('a fresh copy', () => {
  test.each(['file', 'rows'])('writes tidemark_status in the transaction that installs it (as %s)', (as) => {
    if (as === 'rows') install();
    mirror.commit(['a', 3, 1, COLUMNS]);
    install();
    expect(status()).toEqual(statusAt(3, 1));
    expect(tables()).toContainEqual(MARKED);
  });

  test.each(['file', 'rows'])('keeps the columns that describe the terminal (as %s)', (as) => {
    const STATUS = { checkedAt: 1000, syncedAt: null, headSeq: 2, waiting: 7, code: 'behind', headline: '7 waiting' };
    if (as === 'rows') install();
    replica.history.setStatus(STATUS);
    mirror.commit(['u', 2, [[1, 11]]]);
    install();
    expect(sql('SELECT checked_at, head_seq, waiting, code, headline FROM tidemark_status')).toEqual([
      { checked_at: '1970-01-01T00:00:01.000Z', head_seq: 2, waiting: 7, code: 'behind', headline: '7 waiting' },
    ]);
    expect(status()).toEqual(statusAt(3, 0));
  });
});

test('a repair writes the mark with the rows', () => {
  install();
  mirror.commit(['a', 3, 1, COLUMNS]);
  const { built } = mirror.snapshot();
  const repair = replica.startComparison({
    cursor: { epoch: built.cursor.epoch, seq: seq(3) },
    committedAt: built.committedAt,
    scopes: 'all',
    tables: built.tables,
  });
  for (const { id, name } of built.tables) {
    repair.addRows(id, rowsOf(mirror.db, name) as WireRow[]);
    repair.compareRanges(id, [{ after: null, upto: null }]);
  }
  expect(repair.differences).toEqual([]);
  expect(repair.needed).toBe(true);
  replica.applyRepair(repair, false);
  expect(status()).toEqual(statusAt(3, 1));
  expect(tables()).toContainEqual(MARKED);
});

test('tidemark_status and its view are restored after another program removed them', () => {
  install();
  mirror.commit(['a', 3, 1, COLUMNS]);
  pull(2);
  const other = new Database(replica.file);
  other.exec(
    'DELETE FROM tidemark_status; DROP VIEW tidemark_table_status; CREATE VIEW tidemark_table_status AS SELECT 1',
  );
  other.close();
  mirror.commit(['u', 2, [[1, 12]]]);
  pull(3);
  expect(status()).toEqual(statusAt(4, 1));
  expect(tables()).toContainEqual(MARKED);
});

test('a schema that another program damaged does not break the view', () => {
  install();
  mirror.commit(['a', 3, 1, COLUMNS]);
  pull(2);
  const other = new Database(replica.file);
  other.exec(`UPDATE tidemark_table SET schema = '"setAside":{' WHERE name = 'orders'`);
  other.close();
  expect(tables()).toContainEqual(FOLLOWS);
});
