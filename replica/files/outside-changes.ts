import type { AlteredTable, FeedTables } from '@tidemark/table-store/feed-tables';
import { ensureFormat } from '@tidemark/table-store/format';
import type { Writer } from '@tidemark/table-store/sqlite';
import { FileIdentity } from './file-identity.ts';

/**
 * Notices actions of other programs on the open file of a replica: they delete, move or replace it, write to it, or
 * alter the feed's tables. Restores our own tables after their writes.
 */
export class OutsideChanges {
  readonly #db: Writer;
  readonly #feed: string;
  readonly #tables: FeedTables;
  readonly identity: FileIdentity;
  /** SQLite's data_version when our own tables were last checked. It changes when another connection writes. */
  #checkedVersion: unknown;
  /** The altered tables found at that version. Null: not checked yet. */
  #altered: AlteredTable[] | null = null;

  /** Takes the present state of the tables as checked. `identity`: the file that the connection opened. */
  constructor(db: Writer, feed: string, tables: FeedTables, identity = new FileIdentity(db.name)) {
    this.#db = db;
    this.#feed = feed;
    this.#tables = tables;
    this.identity = identity;
    this.#checkedVersion = db.pragma('data_version', { simple: true });
  }

  /**
   * Checks that the name still belongs to the open file, and restores our own tables if another program changed the file
   * since the last check. Throws `db_unavailable`.
   */
  check(): void {
    // No other program can write during our transaction.
    if (this.#db.inTransaction) return;
    this.identity.requirePresent();
    const version = this.#db.pragma('data_version', { simple: true });
    if (version === this.#checkedVersion) return;
    ensureFormat(this.#db, this.#feed);
    this.#tables.reload();
    this.#altered = null;
    this.#checkedVersion = version;
  }

  /** Returns the feed's tables that another program altered, replaced or dropped. */
  alteredTables(): AlteredTable[] {
    this.check();
    // Altered tables are checked again each time, because the other program may restore them.
    if (this.#altered === null || this.#altered.length > 0) this.#altered = this.#tables.altered();
    return this.#altered;
  }
}
