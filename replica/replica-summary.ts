import type { Run } from '@tidemark/protocol/run';
import type { TableSchema } from '@tidemark/protocol/schema';
import type { SetAside } from '@tidemark/protocol/trouble';
import { type CursorState, NO_DATA, readCursorState } from '@tidemark/table-store/cursor-state';
import { isReadable, requireFeed } from '@tidemark/table-store/format';
import { INTEGER, query, row, TEXT, UNKNOWN } from '@tidemark/table-store/query';
import { guard, openReader, type Reader } from '@tidemark/table-store/sqlite';
import { readStoredSchema } from '@tidemark/table-store/stored-schema';
import { openingError, refuseKnownDamage } from './files/damaged-file.ts';
import { lastRuns } from './history.ts';

/**
 * The summary of a replica for programs other than its writer: cursor, row counts, last runs.
 *
 * It can be read while the writer works. Reading it never writes: it neither migrates an older format nor repairs
 * damage.
 */

export interface TableCount {
  name: string;
  rows: number;
  /** Why the table does not follow the master, and as of when (F17). Absent: it follows. */
  setAside?: SetAside;
}

export interface ReplicaSummary extends CursorState {
  /** Tables with their row counts, sorted by name. */
  tables: TableCount[];
  lastRun: Run | null;
  lastSuccess: Run | null;
}

const TABLE_COUNT = row({ name: TEXT, rows: INTEGER, marked: UNKNOWN });

export const tableCount = (name: string, rows: number, schema: TableSchema | null): TableCount => ({
  name,
  rows,
  ...(schema?.setAside && { setAside: schema.setAside }),
});

/**
 * Reads the summary of a feed's replica, even while its writer works. If another program damaged our own tables, the
 * summary shows no data; opening the file for writing repairs it. Throws `db_*`.
 */
export function readReplicaSummary(file: string, feed: string): ReplicaSummary {
  const db = openReplicaFile(file);
  try {
    return guard(file, () => {
      refuseKnownDamage(db);
      requireFeed(db, feed);
      const runs = isReadable(db, 'tidemark_run') ? lastRuns(db) : { lastRun: null, lastSuccess: null };
      const readable = (['tidemark_meta', 'tidemark_spool', 'tidemark_table'] as const).every((table) =>
        isReadable(db, table),
      );
      if (!readable) return { ...NO_DATA, tables: [], ...runs };
      const tables = query(
        db,
        // Parsing the schemas of hundreds of tables would be slow, and most have no mark.
        `SELECT name, rows, CASE WHEN instr(schema, '"setAside":') > 0 THEN schema END AS marked FROM tidemark_table WHERE typeof(name) = 'text' AND typeof(rows) = 'integer' AND rows >= 0 ORDER BY name`,
        TABLE_COUNT,
      )
        .all()
        .map(({ name, rows, marked }) => tableCount(name, rows, readStoredSchema(marked, name)));
      return { ...readCursorState(db), tables, ...runs };
    });
  } finally {
    db.close();
  }
}

function openReplicaFile(file: string): Reader {
  try {
    return openReader(file);
  } catch (error) {
    throw openingError(file, error);
  }
}
