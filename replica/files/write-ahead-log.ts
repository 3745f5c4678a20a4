import { statSync } from 'node:fs';
import { truncateLog, type Writer } from '@tidemark/table-store/sqlite';

/**
 * Observes the write-ahead log of a replica, `<replica>-wal`.
 *
 * A commit moves the log's pages into the file once the log is large enough. It cannot move pages that are newer than
 * the state which another program's read transaction sees, and the log grows until that transaction ends. SQLite says
 * neither which program reads nor since when. Known are the size of the log and the first check at which the same pages
 * could not be moved.
 */

/** Twice the size at which commits empty the log, bytes. A single large transaction can exceed it too. */
const LARGE_BYTES = 32 * 1024 * 1024;

/** A log that is larger than usual. */
export interface LargeLog {
  file: string;
  bytes: number;
  /**
   * When another program's read transaction was first seen to hold the log, ms since 1970. Null: not known whether one
   * does.
   */
  heldSince: number | null;
}

/** Returns the log of a replica if it is large. Writes nothing. */
export function largeLogOf(replica: string): LargeLog | null {
  const file = `${replica}-wal`;
  const bytes = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  return bytes > LARGE_BYTES ? { file, bytes, heldSince: null } : null;
}

export class WriteAheadLog {
  /** The log as last checked, with the number of its pages that were in the file. */
  #held: { log: LargeLog; moved: number } | null = null;

  /**
   * Empties a large log. Returns the log if another program's read transaction prevents it. Call it only while this
   * program reads in no transaction. `now`: ms since 1970.
   */
  check(db: Writer, now: number): LargeLog | null {
    const log = largeLogOf(db.name);
    if (log === null) {
      this.#held = null;
      return null;
    }
    const { pages, moved } = truncateLog(db);
    // Another program is moving the pages at this moment.
    if (pages < 0) return this.#held?.log ?? null;
    if (moved >= pages) this.#held = null;
    else {
      const heldSince = this.#held?.moved === moved ? this.#held.log.heldSince : now;
      this.#held = { log: { ...log, heldSince }, moved };
    }
    return this.#held?.log ?? null;
  }
}
