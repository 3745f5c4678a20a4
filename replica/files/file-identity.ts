import { rmSync, statSync } from 'node:fs';
import { TidemarkError } from '@tidemark/protocol/errors';
import { truncateLog, type Writer } from '@tidemark/table-store/sqlite';

/**
 * Recognises the file of an open replica.
 *
 * A connection stays on the file that it opened, even when another program deletes, moves or replaces this file, or
 * renames its folder. Commits then go to a file that no reader finds. SQLite does not report this in WAL mode.
 */
export class FileIdentity {
  readonly #file: string;
  readonly #id: string | null;
  readonly #logId: string | null;

  /** Remembers the file under this name, and its write-ahead log. */
  constructor(file: string) {
    this.#file = file;
    this.#id = identify(file);
    this.#logId = identify(logOf(file));
  }

  /** Whether the name still belongs to the remembered file. */
  get isPresent(): boolean {
    return identify(this.#file) === this.#id;
  }

  /** Throws `db_unavailable` when the name no longer belongs to the remembered file. */
  requirePresent(): void {
    if (this.isPresent) return;
    const detail = 'another program deleted, moved or replaced it while it was open';
    throw new TidemarkError('db_unavailable', { file: this.#file, detail });
  }

  /**
   * Closes the connection to the remembered file. If the file has lost its name, also moves its write-ahead log into it,
   * which SQLite then does not do, and removes the log: SQLite would apply it to the next file of that name.
   */
  close(db: Writer): void {
    try {
      if (!this.isPresent) this.#moveLog(db);
    } finally {
      db.close();
      if (!this.isPresent && this.#ownsLog()) removeLog(this.#file);
    }
  }

  #moveLog(db: Writer): void {
    try {
      truncateLog(db);
    } catch (error) {
      // The file is gone from its name, so its newest commits matter less than the file that has the name now.
      if (!(error instanceof TidemarkError)) throw error;
    }
  }

  #ownsLog(): boolean {
    return this.#logId !== null && identify(logOf(this.#file)) === this.#logId;
  }
}

function removeLog(file: string): void {
  for (const suffix of ['-wal', '-shm']) rmSync(file + suffix, { force: true });
}

const logOf = (file: string) => `${file}-wal`;

/** Returns device and number of a file. Null when there is none, or it cannot be examined. */
function identify(file: string): string | null {
  try {
    const { dev, ino } = statSync(file, { bigint: true });
    return `${dev} ${ino}`;
  } catch {
    return null;
  }
}
