import { existsSync, rmSync } from 'node:fs';

/**
 * Names and removes the decoded snapshot that is beside a replica until it is installed.
 *
 * Such a file is never resumed: a download that is cut keeps its encoded part under another name. It is therefore
 * garbage whenever no download or installation is under way. Only the holder of the writer lock may remove it.
 */

/** Suffixes of the files that SQLite creates beside a database. */
const SIDE_FILES = ['', '-wal', '-shm', '-journal'] as const;

/** The decoded snapshot of the replica `database`. */
export function snapshotFileOf(database: string): string {
  return `${database}.snapshot`;
}

/** Removes a snapshot and the files that SQLite created beside it. */
export function removeSnapshotFile(file: string): void {
  for (const suffix of SIDE_FILES) rmSync(file + suffix, { force: true });
}

/** Whether a snapshot, or a file that SQLite created beside it, exists. */
export function hasSnapshotFile(file: string): boolean {
  return SIDE_FILES.some((suffix) => existsSync(file + suffix));
}
