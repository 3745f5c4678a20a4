import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { ColumnSchema, TableSchema } from '@tidemark/protocol/schema';
import { ensureFormat } from '@tidemark/table-store/format';
import { ident, openWriter, type Writer } from '@tidemark/table-store/sqlite';
import { storedForm } from '@tidemark/table-store/stored-schema';
import { createTableSql } from '@tidemark/table-store/table-ddl';
import { saveTableList } from '@tidemark/table-store/table-list';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { CUT_ABOVE_BYTES, type RowSet } from './contract.ts';
import { ReplicaReader } from './replica-reader.ts';

/** The reader on real files: while they change, after they were replaced, and when they cannot be used. */

const column = (name: string, type: ColumnSchema['type'], rest: Partial<ColumnSchema> = {}): ColumnSchema => ({
  name,
  type,
  source: type,
  ...rest,
});
const PRICE: TableSchema = {
  name: 'price',
  columns: [column('id', 'integer'), column('label', 'text'), column('picture', 'blob')],
  key: ['id'],
};

const setOf = (table: string, rest: Partial<RowSet> = {}): RowSet => ({ table, filters: [], sort: null, ...rest });
const firstPage = (table: string) => ({ set: setOf(table), from: 0, limit: 100 });

/** Creates a replica with one table of `rows` rows. */
function makeReplica(file: string, schema = PRICE, rows = 0): Writer {
  const db = openWriter(file, { synchronous: 'normal' });
  onTestFinished(() => void db.close());
  ensureFormat(db, 'shop');
  db.exec(createTableSql(schema));
  db.prepare('INSERT INTO tidemark_table (id, name, schema, rows) VALUES (1, ?, ?, ?)').run(
    schema.name,
    storedForm(schema),
    BigInt(rows),
  );
  saveTableList(db);
  const insert = db.prepare(`INSERT INTO ${ident(schema.name)} (${ident(schema.key[0] ?? '')}) VALUES (?)`);
  for (let i = 1; i <= rows; i++) insert.run(BigInt(i));
  return db;
}

function folder(): string {
  return path.join(temporaryFolder('replica-reader'), 'replica.sqlite');
}

function openFile(file: string): ReplicaReader {
  const reader = new ReplicaReader(file, 'shop');
  onTestFinished(() => reader.close());
  return reader;
}

const codeOf = (work: () => unknown): unknown => {
  try {
    work();
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
  return 'no error';
};

test('lists tables with their columns, and no table of Tidemark itself', async () => {
  const file = folder();
  const wide = column('sum', 'text', { source: 'numeric', logical: { kind: 'decimal', precision: null, scale: null } });
  makeReplica(file, { ...PRICE, columns: [...PRICE.columns, wide] }, 3);
  expect(await openFile(file).tables({})).toEqual([
    {
      name: 'price',
      rows: 3,
      setAside: null,
      columns: [
        { name: 'id', type: 'integer', source: 'integer', isKey: true, isNumber: true },
        { name: 'label', type: 'text', source: 'text', isKey: false, isNumber: false },
        { name: 'picture', type: 'blob', source: 'blob', isKey: false, isNumber: false },
        { name: 'sum', type: 'text', source: 'numeric', isKey: false, isNumber: true },
      ],
    },
  ]);
});

test('returns exact values: integers of 64 bits, padded decimals, NULL, empty text, blobs', async () => {
  const file = folder();
  const amount = column('amount', 'numeric', { logical: { kind: 'decimal', precision: 12, scale: 2 } });
  const db = makeReplica(file, { ...PRICE, columns: [...PRICE.columns, amount, column('ratio', 'real')] });
  const insert = db.prepare('INSERT INTO price VALUES (?, ?, ?, ?, ?)');
  insert.run(2n ** 63n - 1n, '', Buffer.alloc(0), 12.5, 0.1);
  insert.run(-(2n ** 63n), null, null, null, Number.POSITIVE_INFINITY);
  insert.run(1n, 'Ä\u0000😀', Buffer.from('00ff', 'hex'), 7n, 5e-324);
  const { rows } = await openFile(file).rows(firstPage('price'));
  expect(rows.map(({ cells }) => cells)).toEqual([
    [{ type: 'integer', text: '-9223372036854775808' }, null, null, null, { type: 'real', text: 'Infinity' }],
    [
      { type: 'integer', text: '1' },
      { type: 'text', text: 'Ä\u0000😀' },
      { type: 'blob', hex: '00ff', bytes: 2 },
      { type: 'integer', text: '7.00' },
      { type: 'real', text: '5e-324' },
    ],
    [
      { type: 'integer', text: '9223372036854775807' },
      { type: 'text', text: '' },
      { type: 'blob', hex: '', bytes: 0 },
      { type: 'real', text: '12.50' },
      { type: 'real', text: '0.1' },
    ],
  ]);
});

test('cuts long values at their limit, states their size, and returns them in pieces', async () => {
  const file = folder();
  const db = makeReplica(file);
  const long = '😀'.repeat(700_000);
  const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, i) => i % 251));
  const insert = db.prepare('INSERT INTO price VALUES (?, ?, ?)');
  insert.run(1n, 'x'.repeat(CUT_ABOVE_BYTES), Buffer.alloc(CUT_ABOVE_BYTES));
  insert.run(2n, 'x'.repeat(CUT_ABOVE_BYTES + 1), bytes);
  insert.run(3n, long, null);
  const reader = openFile(file);
  const { rows } = await reader.rows(firstPage('price'));
  expect(rows[0]?.cells[1]).toEqual({ type: 'text', text: 'x'.repeat(CUT_ABOVE_BYTES) });
  expect(rows[1]?.cells[1]).toEqual({ type: 'cut', text: 'x'.repeat(300), bytes: CUT_ABOVE_BYTES + 1 });
  expect(rows[1]?.cells[2]).toEqual({ type: 'blob', hex: bytes.subarray(0, 32).toString('hex'), bytes: 100_000 });
  // The beginning of a value above 1 MiB is not read.
  expect(rows[2]?.cells[1]).toEqual({ type: 'cut', text: '', bytes: 2_800_000 });

  const all = async (row: number, name: string): Promise<string> => {
    let read = '';
    for (let offset: number | null = 0; offset !== null; ) {
      const piece = await reader.value({
        table: 'price',
        key: rows[row]?.key ?? '',
        column: name,
        offset,
        length: 65_536,
      });
      read += piece.piece;
      offset = piece.next;
    }
    return read;
  };
  expect(await all(2, 'label')).toBe(long);
  expect(await all(1, 'picture')).toBe(bytes.toString('hex'));
});

test('a value of a row that was deleted meanwhile is row_gone', async () => {
  const file = folder();
  const db = makeReplica(file, PRICE, 2);
  const reader = openFile(file);
  const { rows } = await reader.rows(firstPage('price'));
  db.exec('DELETE FROM price WHERE id = 1');
  const read = () => reader.value({ table: 'price', key: rows[0]?.key ?? '', column: 'label', offset: 0, length: 10 });
  expect(codeOf(read)).toBe('row_gone');
});

test.each(['', '[]', '["i1","i2"]', '[1]', '["x"]', '["i1.5"]', '{'])('refuses %j as the key of a row', (key) => {
  const file = folder();
  makeReplica(file, PRICE, 1);
  const read = () => openFile(file).value({ table: 'price', key, column: 'label', offset: 0, length: 10 });
  expect(codeOf(read)).toBe('request_invalid');
});

test.each([
  [{ column: 'id', operator: 'equals', value: 'seven' }, 'expected a number'],
  [{ column: 'id', operator: 'less', value: ' ' }, 'expected a number'],
  [{ column: 'picture', operator: 'contains', value: 'x' }, 'binary data'],
  [{ column: 'id" OR 1', operator: 'is-null', value: '' }, 'no such column'],
] as const)('refuses the filter %j and names its column', (filter, detail) => {
  const file = folder();
  makeReplica(file, PRICE, 1);
  const read = () => openFile(file).rows({ ...firstPage('price'), set: setOf('price', { filters: [filter] }) });
  expect(read).toThrow(new RegExp(`filter on ${filter.column}: .*${detail}`));
  expect(codeOf(read)).toBe('request_invalid');
});

test('holds no read transaction between calls, so the write-ahead log can be emptied', async () => {
  const file = folder();
  const db = makeReplica(file, PRICE, 20_000);
  const reader = openFile(file);
  await reader.rows(firstPage('price'));
  reader.survey();
  db.exec("UPDATE price SET label = 'new'");
  const [result] = db.pragma('wal_checkpoint(TRUNCATE)') as { busy: number; log: number }[];
  expect(result).toMatchObject({ busy: 0, log: 0 });
});

test('returns the committed state while rows change between and during calls', async () => {
  const file = folder();
  const db = makeReplica(file, PRICE, 12_000);
  const reader = openFile(file);
  const count = () => Number(db.prepare('SELECT count(*) FROM price').pluck().get());
  const changes = fc.array(
    fc.oneof(
      fc.record({ do: fc.constant('delete'), from: fc.integer({ min: 0, max: 12_000 }) }),
      fc.record({ do: fc.constant('insert'), from: fc.integer({ min: 12_001, max: 99_999 }) }),
      fc.record({ do: fc.constant('read'), from: fc.integer({ min: 0, max: 15_000 }) }),
      fc.record({ do: fc.constant('survey'), from: fc.constant(0) }),
    ),
    { maxLength: 30 },
  );
  await fc.assert(
    fc.asyncProperty(changes, async (steps) => {
      for (const step of steps) {
        const from = BigInt(step.from);
        if (step.do === 'delete') db.prepare('DELETE FROM price WHERE id BETWEEN ? AND ? + 5').run(from, from);
        if (step.do === 'insert') db.prepare('INSERT OR IGNORE INTO price (id) VALUES (?)').run(from);
        if (step.do === 'survey') reader.survey();
        db.prepare('UPDATE tidemark_table SET rows = ?').run(BigInt(count()));
        if (step.do !== 'read') continue;
        const { rows, total } = await reader.rows({ set: setOf('price'), from: step.from, limit: 50 });
        expect(total).toBe(count());
        const expected = db.prepare('SELECT id FROM price ORDER BY id LIMIT 50 OFFSET ?').pluck().all(from);
        expect(rows.map(({ cells }) => cells[0])).toEqual(
          expected.map((id) => ({ type: 'integer', text: String(id) })),
        );
      }
    }),
    { numRuns: 30 },
  );
});

test('counts the rows of a filter step by step, and starts again after a change', async () => {
  const file = folder();
  const db = makeReplica(file, PRICE, 12_000);
  const reader = openFile(file);
  const set = setOf('price', { filters: [{ column: 'id', operator: 'greater', value: '1000' }] });
  expect((await reader.rows({ set, from: 0, limit: 1 })).total).toBeNull();
  while (reader.survey());
  expect(await reader.count({ set })).toEqual({ total: 11_000 });
  db.exec('DELETE FROM price WHERE id > 11000');
  expect(await reader.count({ set })).toEqual({ total: null });
  while (reader.survey());
  expect(await reader.count({ set })).toEqual({ total: 10_000 });
});

test('reads the new file after a fresh copy replaced the file, and no data after it was removed', async () => {
  const file = folder();
  const reader = openFile(file);
  expect(await reader.tables({})).toEqual([]);
  expect(codeOf(() => reader.rows(firstPage('price')))).toBe('table_unknown');
  makeReplica(file, PRICE, 1);
  expect((await reader.rows(firstPage('price'))).total).toBe(1);

  const other = `${file}.new`;
  const next = makeReplica(other, PRICE, 2);
  next.pragma('wal_checkpoint(TRUNCATE)');
  for (const suffix of ['-wal', '-shm']) rmSync(file + suffix, { force: true });
  const copied = `${file}.copied`;
  copyFileSync(other, copied);
  renameSync(copied, file);
  expect((await reader.rows(firstPage('price'))).total).toBe(2);

  for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true });
  expect(await reader.tables({})).toEqual([]);
});

test('does not keep a file open that holds no data yet', async () => {
  if (process.platform !== 'linux') return;
  const file = folder();
  const db = openWriter(file, { synchronous: 'normal' });
  ensureFormat(db, 'shop');
  db.close();
  const reader = openFile(file);
  expect(await reader.tables({})).toEqual([]);
  const { readdirSync, readlinkSync } = await import('node:fs');
  const opened = readdirSync('/proc/self/fd').filter((fd) => {
    const link = `/proc/self/fd/${fd}`;
    return existsSync(link) && readlinkSync(link).startsWith(file);
  });
  expect(opened).toEqual([]);
});

test('reports a damaged file, a folder, a text file, another data set and an altered table with their codes', () => {
  const file = folder();
  const tables = () => openFile(file).tables({});
  mkdirSync(file);
  expect(codeOf(tables)).toBe('db_is_directory');
  rmSync(file, { recursive: true });
  writeFileSync(file, 'hello, this is not a database at all');
  expect(codeOf(tables)).toBe('db_not_sqlite');
  rmSync(file);
  const db = makeReplica(file, PRICE, 5000);
  expect(codeOf(() => new ReplicaReader(file, 'other').tables({}))).toBe('db_other_feed');
  db.exec('ALTER TABLE price RENAME COLUMN label TO title');
  expect(codeOf(() => openFile(file).rows(firstPage('price')))).toBe('replica_altered');
  db.exec('DROP TABLE price');
  expect(codeOf(() => openFile(file).rows(firstPage('price')))).toBe('replica_altered');
  expect(codeOf(() => openFile(file).rows(firstPage('nothing')))).toBe('table_unknown');
  db.exec(createTableSql(PRICE));
  for (let i = 0; i < 2000; i++) db.prepare("INSERT INTO price (label) VALUES ('some text of a row')").run();
  db.pragma('wal_checkpoint(TRUNCATE)');
  db.close();
  truncateSync(file, 8192);
  expect(codeOf(() => openFile(file).rows({ set: setOf('price'), from: 1500, limit: 100 }))).toBe('db_damaged');
});

test('shows a table of 1,600 columns', async () => {
  const file = folder();
  const columns = [
    column('id', 'integer'),
    ...Array.from({ length: 1599 }, (_, i) => column(`${'c'.repeat(58)}${i}`, 'text')),
  ];
  makeReplica(file, { name: 'wide', columns, key: ['id'] }, 3);
  const { rows } = await openFile(file).rows(firstPage('wide'));
  expect(rows.map(({ cells }) => cells.length)).toEqual([1600, 1600, 1600]);
});
