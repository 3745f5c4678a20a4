import { TidemarkError } from '@tidemark/protocol/errors';
import { exists } from '@tidemark/table-store/query';
import { transaction, type Writer } from '@tidemark/table-store/sqlite';
import { FEED_DDL, LOG_DDL, newEpoch } from './log-format.ts';

/**
 * Creates a feed's store, or migrates it to the current format, in one SQLite transaction. SQLite's user_version holds
 * the number of the format. Stores from before formats had numbers have 0; no store has 1.
 *
 * A released migration must never change, so it must not use constants that later formats may change. Every migration
 * must preserve the mirror and the feed's seq, so that cursors stay valid. It may drop increments.
 */

interface Migration {
  /** The format that the migration produces. */
  to: number;
  run: (db: Writer) => void;
}

const MIGRATIONS: readonly Migration[] = [
  {
    // Format 2 stores the log by scope. Earlier increments have no scope and are dropped; terminals fetch a snapshot.
    to: 2,
    run: (db) =>
      db.exec(`DROP TABLE tidemark_log; DROP TABLE tidemark_transaction; DROP TABLE tidemark_table_change;
        ALTER TABLE tidemark_feed ADD COLUMN based_at TEXT;
        ALTER TABLE tidemark_feed ADD COLUMN based_why TEXT;
        ALTER TABLE tidemark_feed ADD COLUMN filters TEXT;
        UPDATE tidemark_feed SET horizon = head`),
  },
];

/** The format that this version reads and writes. */
const PRESENT = 2;

/** Creates the store's tables with a new epoch, or migrates them. Throws db_newer_version, db_*, disk_full. */
export function migrate(db: Writer): void {
  transaction(db, () => {
    const found = Number(db.pragma('user_version', { simple: true }));
    if (found > PRESENT) throw new TidemarkError('db_newer_version', { file: db.name, found, known: PRESENT });
    if (exists(db, "SELECT 1 FROM sqlite_schema WHERE name = 'tidemark_feed'"))
      for (const { to, run } of MIGRATIONS) if (found < to) run(db);
    db.exec(FEED_DDL + LOG_DDL);
    db.prepare(
      'INSERT OR IGNORE INTO tidemark_feed (one, epoch, head, horizon, next_table_id) VALUES (1, ?, 0, 0, 1)',
    ).run(newEpoch());
    db.pragma(`user_version = ${PRESENT}`);
  });
}
