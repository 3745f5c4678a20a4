import { TidemarkError } from '@tidemark/protocol/errors';
import { databaseError, openLockFile } from '@tidemark/table-store/sqlite';

/**
 * The one writer of a replica, across processes. Held on a file of its own beside the replica, so that
 * readers of other programs are never blocked; the operating system lets go of it when the process ends.
 */
export class WriterLock {
  readonly #release: () => void;

  /** Throws db_in_use when another process holds it. */
  constructor(file: string) {
    try {
      this.#release = openLockFile(`${file}-lock`);
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
