import { rmSync } from 'node:fs';
import path from 'node:path';
import { FeedTables } from '@tidemark/table-store/feed-tables';
import { buildSnapshot } from '@tidemark/table-store/snapshot';
import { openWriter } from '@tidemark/table-store/sqlite';
import { createTableSql } from '@tidemark/table-store/table-ddl';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import { inTurn, type Result, thousands } from './lib.ts';

/** The snapshot benchmark: how long the relay's builder takes to write a verified snapshot file. It needs no relay. */

const ROWS = 500_000;
const LEDGER = {
  name: 'ledger',
  columns: [
    { name: 'id', type: 'integer' as const, source: 'bigint' },
    { name: 'branch', type: 'integer' as const, source: 'integer' },
    { name: 'amount', type: 'numeric' as const, source: 'numeric(12,2)' },
    { name: 'at', type: 'text' as const, source: 'timestamptz' },
    { name: 'memo', type: 'text' as const, source: 'text' },
  ],
  key: ['id'],
};

/** Measures a snapshot of half of a table's rows against SQLite's INSERT … SELECT of the same rows. */
export async function benchSnapshot(): Promise<Result> {
  const folder = temporaryFolder('bench');
  const mirror = path.join(folder, 'mirror.sqlite');
  const where = 'branch % 2 = 0';
  let n = 0;
  const fresh = () => path.join(folder, `copy-${n++}.sqlite`);
  try {
    const db = openWriter(mirror, { synchronous: 'normal' });
    db.exec('BEGIN');
    const tables = new FeedTables(db);
    tables.declare(1, LEDGER);
    db.exec(`WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < ${2 * ROWS})
      INSERT INTO ledger SELECT n, n % 100, n * 7 % 100000 / 100.0, '2026-11-23T08:00:00.000000Z', 'entry ' || n || ' of the ledger' FROM s`);
    db.exec(
      `CREATE TABLE standing AS SELECT 'aaaaaaaa' AS epoch, 1 AS seq, '2026-11-23T08:00:00Z' AS committed_at; COMMIT`,
    );
    db.close();
    const cursorSql = 'SELECT epoch, seq, committed_at FROM mirror.standing';
    const rate = await inTurn(
      async () => {
        const part = { columns: null, where, params: [], indexes: [] };
        const begin = performance.now();
        buildSnapshot({ mirror, feed: 'bench', scopes: 'half', cursorSql, tables: { ledger: part } }, fresh());
        return ROWS / ((performance.now() - begin) / 1000);
      },
      async () => {
        const copy = openWriter(fresh(), { synchronous: 'normal' });
        const begin = performance.now();
        copy.prepare('ATTACH ? AS mirror').run(mirror);
        copy.exec(
          `BEGIN; ${createTableSql(LEDGER)}; INSERT INTO main.ledger SELECT * FROM mirror.ledger WHERE ${where}; COMMIT`,
        );
        copy.close();
        return ROWS / ((performance.now() - begin) / 1000);
      },
    );
    const ratio = rate.ours / rate.limit;
    return {
      what: `building a copy of ${ROWS.toLocaleString('en')} rows out of ${(2 * ROWS).toLocaleString('en')}, rows/s`,
      ours: thousands(rate.ours),
      limit: `SQLite's INSERT … SELECT of them: ${thousands(rate.limit)}`,
      ratio: ratio.toFixed(2),
      reach: '≥ 0.80',
      met: ratio >= 0.8,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
