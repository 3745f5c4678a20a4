import { rmSync } from 'node:fs';
import path from 'node:path';
import { ReplicaReader } from '@tidemark/data-reader/replica-reader';
import type { ColumnSchema, TableSchema } from '@tidemark/protocol/schema';
import { ensureFormat } from '@tidemark/table-store/format';
import { openWriter } from '@tidemark/table-store/sqlite';
import { storedForm } from '@tidemark/table-store/stored-schema';
import { createTableSql } from '@tidemark/table-store/table-ddl';
import { saveTableList } from '@tidemark/table-store/table-list';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import { quantile, type Result } from './lib.ts';

/**
 * The benchmark of the app's data screen: how long the reader takes for a page of 100 rows anywhere in a table.
 * `node bench/rows.ts` runs only this part.
 */

const ROWS = Number(process.env.BENCH_TABLE_ROWS ?? 5_000_000);
const PAGES = 200;
const LIMIT_MS = 150;

const column = (name: string, type: ColumnSchema['type']): ColumnSchema => ({ name, type, source: type });
const REST = [column('label', 'text'), column('amount', 'numeric'), column('at', 'text'), column('note', 'text')];
const TABLES: Record<string, TableSchema> = {
  'an integer key': { name: 'by_integer', columns: [column('id', 'integer'), ...REST], key: ['id'] },
  'a text key': { name: 'by_text', columns: [column('id', 'text'), ...REST], key: ['id'] },
};

function makeReplica(file: string): void {
  const db = openWriter(file, { synchronous: 'normal' });
  ensureFormat(db, 'shop');
  for (const [i, schema] of Object.values(TABLES).entries()) {
    db.exec(createTableSql(schema));
    db.prepare('INSERT INTO tidemark_table (id, name, schema, rows) VALUES (?, ?, ?, ?)').run(
      BigInt(i + 1),
      schema.name,
      storedForm(schema),
      BigInt(ROWS),
    );
    const id = schema.columns[0]?.type === 'text' ? "printf('K%012d', i * 3)" : 'i * 3';
    db.exec(`INSERT INTO ${schema.name} WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < ${ROWS})
      SELECT ${id}, printf('row number %09d', i), i % 1000 + 0.5, '2026-11-25T10:00:00.000000Z', printf('%080d', i) FROM r`);
  }
  saveTableList(db);
  db.pragma('wal_checkpoint(TRUNCATE)');
  db.close();
}

async function milliseconds(work: () => unknown): Promise<number> {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
}

const figures = (times: number[]) =>
  `p50 ${quantile(times, 0.5).toFixed(1)} ms, slowest ${Math.max(...times).toFixed(0)} ms`;

/** Measures pages before the reader has counted the table, and after. */
async function pagesOf(file: string, name: string, { name: table }: TableSchema): Promise<Result[]> {
  const reader = new ReplicaReader(file, 'shop');
  const page = (from: number) =>
    milliseconds(() => reader.rows({ set: { table, filters: [], sort: null }, from, limit: 100 }));
  const anywhere = () => page(Math.floor(Math.random() * (ROWS - 100)));
  const first = await page(0);
  const last = await page(ROWS - 100);
  const cold: number[] = [];
  for (let i = 0; i < 10; i++) cold.push(await anywhere());
  const counted = await milliseconds(() => {
    while (reader.survey());
  });
  const warm: number[] = [];
  for (let i = 0; i < PAGES; i++) warm.push(await anywhere());
  reader.close();
  const result = (what: string, times: number[], reach: string): Result => ({
    what: `${what} of ${ROWS.toLocaleString('en')} rows, ${name}`,
    ours: figures(times),
    limit: '–',
    ratio: '–',
    reach,
    met: reach === '–' ? null : Math.max(...times) <= LIMIT_MS,
  });
  return [
    result('the first and the last page', [first, last], `≤ ${LIMIT_MS} ms`),
    result('any page, before the rows are counted', cold, '–'),
    result(`any page, after ${(counted / 1000).toFixed(1)} s of counting in the background,`, warm, `≤ ${LIMIT_MS} ms`),
  ];
}

/** Measures a filter without matches and a sort without an index, which both read the entire table. */
async function scansOf(file: string): Promise<Result[]> {
  const reader = new ReplicaReader(file, 'shop');
  const filters = [{ column: 'note', operator: 'contains' as const, value: 'no such text' }];
  const sort = { column: 'label', descending: true };
  const table = 'by_text';
  const filtered = await milliseconds(() => reader.rows({ set: { table, filters, sort: null }, from: 0, limit: 100 }));
  const sorted: number[] = [];
  for (const from of [0, 100, ROWS / 2])
    sorted.push(await milliseconds(() => reader.rows({ set: { table, filters: [], sort }, from, limit: 100 })));
  reader.close();
  const result = (what: string, ours: string): Result => ({
    what: `${what}, ${ROWS.toLocaleString('en')} rows`,
    ours,
    limit: '–',
    ratio: '–',
    reach: '–',
    met: null,
  });
  return [
    result('a filter that no row matches', `${filtered.toFixed(0)} ms`),
    result(
      'sorted by a column without an index: first, second and middle page',
      sorted.map((ms) => `${ms.toFixed(0)} ms`).join(', '),
    ),
  ];
}

export async function benchRows(): Promise<Result[]> {
  const folder = temporaryFolder('bench-rows');
  try {
    const file = path.join(folder, 'replica.sqlite');
    makeReplica(file);
    const results: Result[] = [];
    for (const [name, schema] of Object.entries(TABLES)) results.push(...(await pagesOf(file, name, schema)));
    return [...results, ...(await scansOf(file))];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (import.meta.main)
  for (const { what, ours, reach, met } of await benchRows())
    console.log(`${met === null ? '·' : met ? 'met' : 'NOT MET'} ${what}: ${ours}, reach ${reach}`);
