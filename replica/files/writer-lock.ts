import { existsSync } from 'node:fs';
import { TidemarkError } from '@tidemark/protocol/errors';
import { databaseError } from '@tidemark/table-store/database-error';
import { openLockFile } from '@tidemark/table-store/sqlite';

/**
 * Ensures that a replica has only one writer, across processes.
 *
 * The lock is SQLite's exclusive lock on a small file next to the replica. A lock on the replica itself would block
 * readers. The operating system releases the lock however the process ends, so a stale lock cannot exist and no clock
 * decides who may write. See docs/decisions/2026-11-25-writer-lock-in-sqlite.md for the alternatives.
 */
export class WriterLock {
  readonly #release: () => void;

  /**
   * `file`: the replica. Throws `db_in_use` when another process holds the lock, `db_*` when the lock file cannot be
   * used.
   */
  constructor(file: string) {
    try {
      this.#release = openLockFile(lockFileOf(file));
    } catch (error) {
      const coded = databaseError(file, error);
      throw coded instanceof TidemarkError && coded.code === 'db_in_use'
        ? new TidemarkError('db_in_use', { file }, error)
        : coded;
    }
  }

  release(): void {
    this.#release();
  }
}

/** Whether `file` has a lock file, which every replica has that a terminal has opened. */
export function hasLockFile(file: string): boolean {
  return existsSync(lockFileOf(file));
}

const lockFileOf = (file: string) => `${file}-lock`;
