import { existsSync, rmSync } from 'node:fs';

/**
 * Names and removes the decoded snapshot that is next to a replica until it is installed.
 *
 * A decoded snapshot is never resumed: an interrupted download keeps its encoded part under another name. While no
 * download or installation is under way, the decoded file is therefore garbage. Only the holder of the writer lock may
 * remove it.
 */

/** Suffixes of a database and of the files that SQLite creates next to it. */
const SIDE_FILES = ['', '-wal', '-shm', '-journal'] as const;

/** Returns the path of the decoded snapshot of the replica `database`. */
export function snapshotFileOf(database: string): string {
  return `${database}.snapshot`;
}

/** Removes a snapshot and the files that SQLite created next to it. */
export function removeSnapshotFile(file: string): void {
  for (const suffix of SIDE_FILES) rmSync(file + suffix, { force: true });
}

/** Whether a snapshot, or a file that SQLite created next to it, exists. */
export function hasSnapshotFile(file: string): boolean {
  return SIDE_FILES.some((suffix) => existsSync(file + suffix));
}
