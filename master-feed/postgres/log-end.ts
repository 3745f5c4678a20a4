import { type Connection, rows } from './connection.ts';
import { type Lsn, parseLsn } from './lsn.ts';

/** Where the master's log ended at a moment of its clock. */
export interface LogEnd {
  lsn: Lsn;
  /** ISO 8601. */
  at: string;
}

/** Where the master's log ends now, by its clock. */
export async function logEnd({ client }: Connection): Promise<LogEnd> {
  const [row] = await rows(
    client,
    `SELECT pg_current_wal_flush_lsn() AS lsn, to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS now`,
  );
  return { lsn: parseLsn(row?.lsn ?? ''), at: row?.now ?? '' };
}
