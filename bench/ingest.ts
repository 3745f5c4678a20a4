import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { until } from '@tidemark/testing/processes';
import { inTurn, type Result, thousands } from './lib.ts';
import { type Office, ROWS, row } from './office.ts';

/** Debian's postgresql packages install pg_recvlogical in a folder that is not on the path. */
function recvlogical(): string | null {
  const base = '/usr/lib/postgresql';
  const inBase = existsSync(base)
    ? readdirSync(base).map((version) => path.join(base, version, 'bin/pg_recvlogical'))
    : [];
  return ['pg_recvlogical', ...inBase].find((file) => spawnSync(file, ['--version']).status === 0) ?? null;
}

/**
 * Measures one transaction of {@link ROWS} rows from Postgres to the relay's disk, in rows/s from the start of the
 * stream.
 */
export async function benchIngest(office: Office): Promise<Result> {
  const { master, system, postgres } = office;
  const program = recvlogical();
  const what = `Postgres to the relay's disk, one transaction of ${ROWS.toLocaleString('en')} rows, rows/s`;
  if (program === null)
    return {
      what,
      ours: 'not measured: no pg_recvlogical here (apt-get install postgresql)',
      limit: '',
      ratio: '',
      reach: '≥ 0.60',
      met: null,
    };
  const fill = () =>
    master.query(
      `BEGIN; TRUNCATE bulk; INSERT INTO bulk SELECT ${row('n')} FROM generate_series(1, ${ROWS}) n; COMMIT`,
    );
  const lsn = async () =>
    ((await master.query('SELECT pg_current_wal_flush_lsn()::text AS at')).rows[0] as { at: string }).at;
  const file = path.join(office.folder, 'recvlogical.out');
  const ours = async () => {
    await system.settled();
    const before = (await system.status()).head?.seq ?? 0;
    await system.feed?.stop('SIGTERM');
    await fill();
    system.startFeed();
    const feed = system.feed;
    await until(
      async () => feed?.stdout.includes('"streaming"'),
      () => `the feed does not stream: ${feed?.stdout}`,
    );
    const begin = performance.now();
    await until(
      async () => ((await system.status()).head?.seq ?? 0) > before,
      () => 'the transaction did not arrive',
      120_000,
    );
    return ROWS / ((performance.now() - begin) / 1000);
  };
  const limit = async () => {
    await system.settled();
    rmSync(file, { force: true });
    await master.query("SELECT pg_create_logical_replication_slot('bench', 'pgoutput')");
    await fill();
    const end = await lsn();
    const args = [
      '-d',
      postgres.url,
      '-S',
      'bench',
      '--start',
      '-f',
      file,
      '--endpos',
      end,
      '-o',
      'proto_version=1',
      '-o',
      'publication_names=tidemark_shop',
      '--no-loop',
    ];
    const begin = performance.now();
    const child = spawn(program, args, { stdio: 'ignore' });
    const code = await new Promise((resolve) => child.once('exit', resolve));
    if (code !== 0) throw new Error(`pg_recvlogical ended (${code})`);
    const elapsed = (performance.now() - begin) / 1000;
    await master.query("SELECT pg_drop_replication_slot('bench')");
    return ROWS / elapsed;
  };
  const rate = await inTurn(ours, limit);
  const ratio = rate.ours / rate.limit;
  return {
    what,
    ours: thousands(rate.ours),
    limit: `pg_recvlogical to a file: ${thousands(rate.limit)}`,
    ratio: ratio.toFixed(2),
    reach: '≥ 0.60',
    met: ratio >= 0.6,
  };
}
