import type { Seq } from '@tidemark/protocol/cursor';
import { BLOB, INTEGER, orNull, query, row, SEQ, value } from '@tidemark/table-store/query';
import { prepared, transaction, type Writer } from '@tidemark/table-store/sqlite';

/**
 * The spool, `tidemark_spool`: the first parts of a transaction that continues on the next page.
 *
 * The spool stores the parts without applying them, because a transaction is applied as a unit. They survive a restart,
 * so that the download of a large transaction resumes. The same SQLite transaction writes them and
 * `tidemark_meta.part`: the spool is empty exactly when `part` is 0. `tidemark_meta.squashed` records the kind of their
 * pages, because ordinary pages cannot continue compacted ones.
 */
const PART = row({ n: INTEGER, body: BLOB });

export class Spool {
  readonly #db: Writer;

  constructor(db: Writer) {
    this.#db = db;
  }

  /** Size of all parts, bytes. */
  sizeBytes(): number {
    return query(this.#db, 'SELECT coalesce(sum(length(body)), 0) FROM tidemark_spool', value(INTEGER)).one();
  }

  /**
   * The target of the compacted pages whose parts the spool holds. Null when it holds parts of ordinary pages, or none.
   */
  compactionTarget(): Seq | null {
    return query(this.#db, 'SELECT squashed FROM tidemark_meta', value(orNull(SEQ))).one();
  }

  /** Adds a part, inside the caller's transaction. */
  add(body: Buffer): void {
    prepared(this.#db, 'INSERT INTO tidemark_spool (body) VALUES (?)').run(body);
  }

  /** Iterates over the parts, oldest first. Only one is in memory at a time, and the caller may write meanwhile. */
  *parts(): Generator<Buffer, void, void> {
    const next = query(this.#db, 'SELECT n, body FROM tidemark_spool WHERE n > ? ORDER BY n LIMIT 1', PART);
    for (let part = next.get(0); part; part = next.get(part.n)) yield part.body;
  }

  /** Removes all parts, inside the caller's transaction. The caller must then write the cursor. */
  clear(): void {
    this.#db.exec('DELETE FROM tidemark_spool');
  }

  /**
   * Removes all parts and moves the cursor back to the start of their transaction. The next pull fetches the
   * transaction again.
   */
  discard(): void {
    transaction(this.#db, () => {
      this.clear();
      this.#db.exec('UPDATE tidemark_meta SET part = 0, squashed = NULL');
    });
  }
}
