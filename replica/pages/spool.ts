import type { Seq } from '@tidemark/protocol/cursor';
import { BLOB, INTEGER, orNull, query, row, SEQ, value } from '@tidemark/table-store/query';
import { prepared, transaction, type Writer } from '@tidemark/table-store/sqlite';

/**
 * The first parts of a transaction that continues on the next page, in `tidemark_spool`.
 *
 * They are kept unapplied, because a transaction is applied as one; they survive a restart, so that a large transaction
 * resumes. They are written and removed in the same transaction as `tidemark_meta.part`: the spool is empty exactly when
 * `part` is 0. `tidemark_meta.squashed` records which kind of pages they come from, because ordinary pages cannot
 * continue compacted ones.
 */
const PART = row({ n: INTEGER, body: BLOB });

export class Spool {
  readonly #db: Writer;

  constructor(db: Writer) {
    this.#db = db;
  }

  /** Size of the parts, bytes. */
  sizeBytes(): number {
    return query(this.#db, 'SELECT coalesce(sum(length(body)), 0) FROM tidemark_spool', value(INTEGER)).one();
  }

  /** The seq up to which its compacted pages reach; null when it holds parts of ordinary pages, or none. */
  compactionTarget(): Seq | null {
    return query(this.#db, 'SELECT squashed FROM tidemark_meta', value(orNull(SEQ))).one();
  }

  /** Adds a part, inside the caller's transaction. */
  add(body: Buffer): void {
    prepared(this.#db, 'INSERT INTO tidemark_spool (body) VALUES (?)').run(body);
  }

  /** The parts, oldest first, one in memory at a time. The caller may write while it iterates. */
  *parts(): Generator<Buffer, void, void> {
    const next = query(this.#db, 'SELECT n, body FROM tidemark_spool WHERE n > ? ORDER BY n LIMIT 1', PART);
    for (let part = next.get(0); part; part = next.get(part.n)) yield part.body;
  }

  /** Removes all parts, inside the caller's transaction. The caller writes the cursor. */
  clear(): void {
    this.#db.exec('DELETE FROM tidemark_spool');
  }

  /** Removes all parts and sets the cursor back to the start of their transaction. The next pull fetches it again. */
  discard(): void {
    transaction(this.#db, () => {
      this.clear();
      this.#db.exec('UPDATE tidemark_meta SET part = 0, squashed = NULL');
    });
  }
}
