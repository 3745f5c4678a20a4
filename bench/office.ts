import { rmSync } from 'node:fs';
import path from 'node:path';
import { connect } from '@tidemark/testing/oracle';
import { type EmbeddedPostgres, startPostgres } from '@tidemark/testing/postgres/embedded';
import { System } from '@tidemark/testing/system';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import type pg from 'pg';

/**
 * The head office that the benchmarks share: one embedded Postgres, one feed and one relay.
 *
 * The relay must have stored the base copy before a benchmark starts. Stopping the office removes its folder.
 */

export const ROWS = Number(process.env.BENCH_ROWS ?? 500_000);
/** Rows in each transaction that fills the log. The relay builds pages from these transactions. */
const STEP = 5000;

/** Returns the SQL of one row: an id, 20 characters, a numeric(12,2), a timestamptz and 80 characters. */
export function row(column: string): string {
  const n = `${column}::bigint`;
  const text = (from: number, length: number) =>
    `left(${[0, 1, 2].map((i) => `md5((${n} + ${from + i})::text)`).join(' || ')}, ${length})`;
  return `${n}, ${text(0, 20)}, round((${n} * 7919 % 10000000) / 100.0, 2)::numeric(12,2), timestamptz '2026-01-01 00:00:00.123456+00' + ${n} * interval '1.7 seconds', ${text(2, 80)}`;
}

const COLUMNS = '(id bigint PRIMARY KEY, name text, amount numeric(12,2), at timestamptz, note text)';

/** A real master, feed and relay. The relay's log contains the table `item` with {@link ROWS} rows. */
export class Office {
  readonly folder: string;
  readonly postgres: EmbeddedPostgres;
  readonly master: pg.Client;
  readonly system: System;

  private constructor(folder: string, postgres: EmbeddedPostgres, master: pg.Client, system: System) {
    this.folder = folder;
    this.postgres = postgres;
    this.master = master;
    this.system = system;
  }

  static async start(rows = ROWS): Promise<Office> {
    const postgres = await startPostgres({
      walLevel: 'logical',
      settings: { max_wal_size: '8GB', shared_buffers: '512MB' },
    });
    const master = await connect(postgres.url);
    await master.query(
      `CREATE TABLE item ${COLUMNS}; CREATE TABLE bulk ${COLUMNS}; CREATE TABLE one (id int PRIMARY KEY, n bigint)`,
    );
    await master.query('INSERT INTO one VALUES (1, 0)');
    const system = await System.start(postgres.url, null, { kill: 'SIGTERM', heartbeatMs: 5_000 });
    await system.settled();
    const office = new Office(temporaryFolder('bench'), postgres, master, system);
    await system.pull(office.empty);
    for (let from = 0; from < rows; from += STEP)
      await master.query(`INSERT INTO item SELECT ${row('n')} FROM generate_series(${from + 1}, ${from + STEP}) n`);
    await system.settled();
    return office;
  }

  /** Path of a replica without rows. */
  get empty(): string {
    return path.join(this.folder, 'empty.sqlite');
  }

  async stop(): Promise<void> {
    await this.system.stop();
    await this.master.end();
    await this.postgres.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
