import { TimeText } from '@tidemark/protocol/time';
import { COUNT_SET_ASIDE } from '@tidemark/table-store/own-tables';
import { prepared, type Writer } from '@tidemark/table-store/sqlite';

/**
 * The row of `tidemark_status`, from which reports on the PC read how old the data is.
 *
 * The columns that describe the data (`epoch`, `seq`, `committed_at`, `tables_set_aside`) change in the transaction that
 * changes the data. The others describe the terminal, and change when its status changes.
 */

/** The columns that describe the terminal. Stored times are ISO 8601. */
export interface StatusRow {
  checkedAt: number | null;
  syncedAt: number | null;
  headSeq: number | null;
  waiting: number | null;
  code: string;
  headline: string;
}

const textOrNull = (time: number | null): string | null => (time === null ? null : TimeText.encode(time));

/**
 * Writes the columns that describe the data, inside the caller's transaction and after it has written `tidemark_meta`.
 * `setAside`: number of the replica's tables that are set aside.
 */
export function saveDataColumns(db: Writer, setAside: number): void {
  prepared(
    db,
    `INSERT INTO tidemark_status (one, feed, epoch, seq, committed_at, tables_set_aside)
       SELECT 1, feed, epoch, seq, committed_at, ? FROM main.tidemark_meta WHERE true
       ON CONFLICT (one) DO UPDATE SET feed = excluded.feed, epoch = excluded.epoch, seq = excluded.seq,
         committed_at = excluded.committed_at, tables_set_aside = excluded.tables_set_aside`,
  ).run(setAside);
}

/** Writes the columns that describe the terminal. Completes a row that another program removed. */
export function saveStatusRow(db: Writer, status: StatusRow): void {
  prepared(
    db,
    `INSERT INTO tidemark_status (one, feed, epoch, seq, committed_at, tables_set_aside,
       checked_at, synced_at, head_seq, waiting, code, headline)
       SELECT 1, feed, epoch, seq, committed_at, ${COUNT_SET_ASIDE},
         @checkedAt, @syncedAt, @headSeq, @waiting, @code, @headline FROM tidemark_meta WHERE true
       ON CONFLICT (one) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq, committed_at = excluded.committed_at,
         tables_set_aside = excluded.tables_set_aside, checked_at = excluded.checked_at, synced_at = excluded.synced_at,
         head_seq = excluded.head_seq, waiting = excluded.waiting, code = excluded.code, headline = excluded.headline`,
  ).run({ ...status, checkedAt: textOrNull(status.checkedAt), syncedAt: textOrNull(status.syncedAt) });
}
