import type { LogEnd } from '../../source.ts';
import type { Connection } from './connection.ts';
import { parseLsn, toPosition } from './lsn.ts';
import { rows } from './sql.ts';

/** Returns the current end of the master's log, with the time of the master's clock. */
export async function logEnd({ client }: Connection): Promise<LogEnd> {
  const [row] = await rows(
    client,
    `SELECT pg_current_wal_flush_lsn() AS lsn, to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS now`,
  );
  return { position: toPosition(parseLsn(row?.lsn ?? '') - 1n), at: row?.now ?? '' };
}
