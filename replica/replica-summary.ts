import type { Run } from '@tidemark/protocol/run';
import { type CursorState, NO_DATA, readCursorState } from '@tidemark/table-store/cursor-state';
import { isReadable, requireFeed } from '@tidemark/table-store/format';
import { INTEGER, query, row, TEXT } from '@tidemark/table-store/query';
import { guard, openReader } from '@tidemark/table-store/sqlite';
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
}

export interface ReplicaSummary extends CursorState {
  /** Tables with their row counts, sorted by name. */
  tables: TableCount[];
  lastRun: Run | null;
  lastSuccess: Run | null;
}

const TABLE_COUNT = row({ name: TEXT, rows: INTEGER });

/**
 * Reads the summary of a feed's replica, even while its writer works. If another program damaged our own tables, the
 * summary shows no data; opening the file for writing repairs it. Throws `db_*`.
 */
export function readReplicaSummary(file: string, feed: string): ReplicaSummary {
  const db = openReader(file);
  try {
    return guard(file, () => {
      requireFeed(db, feed);
      const runs = isReadable(db, 'tidemark_run') ? lastRuns(db) : { lastRun: null, lastSuccess: null };
      const readable = (['tidemark_meta', 'tidemark_spool', 'tidemark_table'] as const).every((table) =>
        isReadable(db, table),
      );
      if (!readable) return { ...NO_DATA, tables: [], ...runs };
      const tables = query(
        db,
        "SELECT name, rows FROM tidemark_table WHERE typeof(name) = 'text' AND typeof(rows) = 'integer' AND rows >= 0 ORDER BY name",
        TABLE_COUNT,
      ).all();
      return { ...readCursorState(db), tables, ...runs };
    });
  } finally {
    db.close();
  }
}
