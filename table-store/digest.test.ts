import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import path from 'node:path';
import type { KeyRange } from '@tidemark/protocol/api';
import type { TableSchema } from '@tidemark/protocol/schema';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runToCompletion } from './cooperative-task.ts';
import { TableRanges } from './digest.ts';
import { ALL_ROWS } from './key-range.ts';
import { rowTextSql } from './row-encoding.ts';
import { openWriter, type Writer } from './sqlite.ts';

let folder: string;
let db: Writer;
beforeEach(() => {
  folder = temporaryFolder('digest');
  db = openWriter(path.join(folder, 'a.sqlite'), { synchronous: 'normal' });
});
afterEach(() => {
  db.close();
  rmSync(folder, { recursive: true, force: true });
});

const column = (name: string, type: TableSchema['columns'][number]['type']) => ({ name, type, source: type });
const PAIR: TableSchema = {
  name: 'pair',
  columns: [column('a', 'text'), column('n', 'integer'), column('x', 'numeric')],
  key: ['a', 'n'],
};
const FREE: TableSchema = { name: 'free', columns: [column('v', 'blob'), column('w', 'blob')], key: [] };

/** Values of every storage class, as SQL literals. */
const VALUES = [
  'NULL',
  "'NULL'",
  "''",
  "x''",
  '0',
  '1',
  '1.0',
  "'1'",
  "x'31'",
  '-1',
  '0.5',
  '0.25',
  '-0.25',
  '0.0001',
  '1e300',
  '9e999',
  '-9e999',
  '4611686018427387904',
  '4611686018427387904.0',
  '9223372036854775807',
  '9007199254740993',
  '9007199254740992.0',
  "'t1:1'",
  "'a' || char(0) || 'b'",
  "'a' || char(0) || 'c'",
  "'a'",
  "CAST(x'ff' AS TEXT)",
  "CAST(x'fe' AS TEXT)",
  "x'ff'",
  "'i1,'",
  "',n'",
  '0.1 + 0.2',
  '0.3',
];

describe('C2: the text of a row', () => {
  test('differs when a value or its column differs', () => {
    const raw = openWriter(':memory:', { synchronous: 'normal' });
    raw.exec('CREATE TABLE free (v BLOB, w BLOB)');
    for (const v of VALUES) for (const w of VALUES) raw.exec(`INSERT INTO free VALUES (${v}, ${w})`);
    const sql = `SELECT CAST(${rowTextSql(FREE, 't')} AS BLOB) FROM free AS t`;
    const written = (raw.prepare(sql).pluck().all() as Buffer[]).map((row) => row.toString('hex'));
    expect(new Set(written).size).toBe(VALUES.length ** 2);
    raw.close();
  });

  test('is the same for two doubles exactly when they are equal', () => {
    const sql = db
      .prepare(`SELECT ${rowTextSql({ ...FREE, columns: [column('v', 'real')] }, 't')} FROM (SELECT ? AS v) AS t`)
      .pluck();
    const double = fc.double({ noNaN: true }).filter((value) => !Number.isInteger(value));
    fc.assert(
      fc.property(double, (value) => {
        const bytes = Buffer.alloc(8);
        bytes.writeDoubleBE(value);
        bytes[7] = (bytes[7] ?? 0) ^ 1;
        const near = bytes.readDoubleBE();
        expect(sql.get(value)).toBe(sql.get(value));
        if (Number.isFinite(near)) expect(sql.get(value)).not.toBe(sql.get(near));
      }),
      { numRuns: 5000 },
    );
    const halves = db.prepare(
      `SELECT ${rowTextSql({ ...FREE, columns: [column('v', 'real')] }, 't')} FROM (SELECT -0.0 AS v UNION ALL SELECT 0.0) AS t`,
    );
    expect(new Set(halves.pluck().all()).size).toBe(1);
  });

  test('can be computed for a table with very many columns', () => {
    const columns = Array.from({ length: 500 }, (_, i) => column(`c${i}`, 'integer'));
    db.exec(`CREATE TABLE wide (${columns.map(({ name }) => `${name} INTEGER`).join(', ')}, PRIMARY KEY (c0))`);
    db.exec(`INSERT INTO wide VALUES (${columns.map((_, i) => i).join(', ')})`);
    const wide = new TableRanges(db, { name: 'wide', columns, key: ['c0'] });
    expect(runToCompletion(wide.digest(ALL_ROWS)).rows).toBe(1);
  });
});

describe('C3: the digest of a range', () => {
  /** Computes a digest from its definition, in JavaScript. */
  const digest = (rows: [string, number, number | null][]) => {
    const text = rows.map(([a, n, x]) => `t${Buffer.byteLength(a)}:${a},i${n},${x === null ? 'n' : `i${x}`},`).join('');
    return createHash('sha256').update(text).digest('hex').slice(0, 32);
  };
  const fill = (rows: [string, number, number | null][]) => {
    db.exec(
      'DROP TABLE IF EXISTS pair; CREATE TABLE pair (a TEXT NOT NULL, n INTEGER NOT NULL, x NUMERIC, PRIMARY KEY (a, n))',
    );
    const add = db.prepare('INSERT INTO pair VALUES (?, ?, ?)');
    for (const row of rows) add.run(row);
  };
  const byKey = (a: [string, number, unknown], b: [string, number, unknown]) =>
    Buffer.compare(Buffer.from(a[0]), Buffer.from(b[0])) || a[1] - b[1];

  test('covers the rows in key order, whatever their insertion order, and its parts cover consecutive rows', () => {
    const row = fc.tuple(fc.string({ maxLength: 3 }), fc.integer({ min: -5, max: 500 }), fc.option(fc.nat()));
    fc.assert(
      fc.property(
        fc.uniqueArray(row, { maxLength: 400, selector: ([a, n]) => JSON.stringify([a, n]) }),
        fc.integer({ min: 1, max: 9 }),
        (rows, parts) => {
          fill(rows);
          const sorted = [...rows].sort(byKey);
          const table = new TableRanges(db, PAIR);
          expect(runToCompletion(table.digest(ALL_ROWS))).toEqual({
            upto: null,
            rows: rows.length,
            digest: digest(sorted),
          });
          const cut = runToCompletion(table.split(ALL_ROWS, parts));
          const each = Math.ceil(rows.length / parts);
          expect(cut.length).toBe(Math.max(1, Math.ceil(rows.length / Math.max(1, each))));
          let after: KeyRange['after'] = null;
          cut.forEach((part, i) => {
            const its = sorted.slice(i * each, (i + 1) * each);
            expect(part.digest).toBe(digest(its));
            expect(part.upto).toEqual(i === cut.length - 1 ? null : its.at(-1)?.slice(0, 2));
            expect(runToCompletion(table.digest({ after, upto: part.upto }))).toEqual(part);
            expect([...table.rows({ after, upto: part.upto })].map((found) => found.row)).toEqual(its);
            after = part.upto;
          });
        },
      ),
      { numRuns: 150 },
    );
  });

  test('has exact bounds for keys beyond 2^53 and for blobs', () => {
    db.exec(
      "CREATE TABLE big (k INTEGER PRIMARY KEY NOT NULL, v TEXT); INSERT INTO big VALUES (9007199254740992, 'a'), (9007199254740993, 'b'), (9007199254740994, 'c')",
    );
    const big = new TableRanges(db, {
      name: 'big',
      columns: [column('k', 'integer'), column('v', 'text')],
      key: ['k'],
    });
    expect([...big.rows({ after: [9007199254740992], upto: ['9007199254740993'] })].map(({ row }) => row[1])).toEqual([
      'b',
    ]);
    db.exec(
      "CREATE TABLE hash (k BLOB PRIMARY KEY NOT NULL, v TEXT); INSERT INTO hash VALUES (x'00', 'a'), (x'0001', 'b'), (x'ff', 'c')",
    );
    const hash = new TableRanges(db, { name: 'hash', columns: [column('k', 'blob'), column('v', 'text')], key: ['k'] });
    expect([...hash.rows({ after: ['AA=='], upto: ['AAE='] })]).toEqual([{ row: ['AAE=', 'b'], key: ['AAE='] }]);
    expect(() => hash.require({ after: ['AA==', 1], upto: null })).toThrowError(
      expect.objectContaining({ code: 'request_invalid' }),
    );
  });

  test('does not depend on wide rows among narrow ones', () => {
    fill(Array.from({ length: 3000 }, (_, i) => [i % 1000 === 7 ? 'x'.repeat(3_000_000) : 'y', i, null]));
    const table = new TableRanges(db, PAIR);
    const [part] = runToCompletion(table.split(ALL_ROWS, 1));
    const hash = createHash('sha256');
    for (const row of db
      .prepare(`SELECT CAST(${rowTextSql(PAIR, 't')} AS BLOB) FROM pair AS t ORDER BY a, n`)
      .pluck()
      .iterate())
      hash.update(row as Buffer);
    expect(part?.digest).toBe(hash.digest('hex').slice(0, 32));
  });

  test('depends on repetition but not on order in a table without a key', () => {
    db.exec("CREATE TABLE free (v BLOB, w BLOB); INSERT INTO free VALUES (1, 'a'), (2, 'b'), (1, 'a')");
    const free = new TableRanges(db, FREE);
    const before = runToCompletion(free.split(ALL_ROWS, 64));
    expect(before).toMatchObject([{ upto: null, rows: 3 }]);
    db.exec("DELETE FROM free; INSERT INTO free VALUES (1, 'a'), (1, 'a'), (2, 'b')");
    expect(runToCompletion(free.split(ALL_ROWS, 64))).toEqual(before);
    db.exec("DELETE FROM free; INSERT INTO free VALUES (1, 'a'), (2, 'b'), (2, 'b')");
    expect(runToCompletion(free.digest(ALL_ROWS)).digest).not.toBe(before[0]?.digest);
    expect([...free.rows({ after: [2], upto: null })].map(({ row, key }) => [row, key])).toEqual([[[2, 'b'], [3]]]);
  });
});
