import { existsSync } from 'node:fs';
import pg from 'pg';
import { expect, test } from 'vitest';
import { startPostgres } from './embedded.ts';

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const answer = await client.query(sql);
  await client.end();
  return answer.rows;
}

test('an embedded Postgres starts, keeps committed rows after a kill, and leaves no files or processes', async () => {
  const postgres = await startPostgres();
  const url = await postgres.createDatabase('shop');
  await query(url, 'CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)');
  await postgres.kill9();
  await postgres.restart();
  expect(await query(url, 'SELECT id, current_setting($$wal_level$$) AS level FROM t')).toEqual([
    { id: 1, level: 'logical' },
  ]);
  const { pid } = postgres;
  await postgres.stop();
  expect(() => process.kill(pid, 0)).toThrow();
  expect(existsSync(postgres.dataDir)).toBe(false);
});
