import { TidemarkError } from '@tidemark/protocol/errors';
import { exists } from '@tidemark/table-store/query';
import { transaction, type Writer } from '@tidemark/table-store/sqlite';
import { FEED_DDL, LOG_DDL, newEpoch } from './log-format.ts';

/**
 * Brings a feed's store to the present format, or creates it, in one SQLite transaction. The format's number is in SQLite's
 * user_version; a store before numbers were given has 0, and no store ever had 1.
 *
 * A migration stays as it was released: it names tables and columns itself and uses nothing that later formats may change.
 * The mirror and the feed's seq survive every migration, so that cursors stay valid; increments may be dropped.
 */

interface Migration {
  /** The format that it makes. */
  to: number;
  run: (db: Writer) => void;
}

const MIGRATIONS: readonly Migration[] = [
  {
    // The log by scope. Earlier increments have no scope and are dropped; terminals fetch a snapshot.
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

/** Creates the store's tables, beginning an epoch, or migrates them. Throws db_newer_version, db_*, disk_full. */
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
