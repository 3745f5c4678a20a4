import { existsSync, renameSync, rmSync } from 'node:fs';
import { TidemarkError } from '@tidemark/protocol/errors';
import { guard, openReader, pageDamage } from '@tidemark/table-store/sqlite';
import { linkTarget } from './link-target.ts';
import { WriterLock } from './writer-lock.ts';

/**
 * Renames a damaged replica, so that a fresh copy can be downloaded under its name.
 *
 * The damaged file is kept, because it may hold tables of other programs. Its write-ahead log moves with it: left behind,
 * SQLite would apply it to the file that comes next.
 */

/** Renames a replica if its pages do not pass SQLite's quick check. Returns the new name; null: it is intact, or there is none. Throws `db_in_use`, `db_*`. */
export function setAsideIfDamaged(name: string): string | null {
  const file = linkTarget(name);
  if (!existsSync(file)) return null;
  const lock = new WriterLock(file);
  try {
    return isDamaged(file) ? setAside(file) : null;
  } finally {
    lock.release();
  }
}

/** Renames a replica that no connection has open. Returns the new name. Throws `db_*`. */
export function setAside(file: string): string {
  const aside = `${file}.damaged-${new Date().toISOString().replaceAll(':', '')}`;
  guard(file, () => {
    renameSync(file, aside);
    if (existsSync(`${file}-wal`)) renameSync(`${file}-wal`, `${aside}-wal`);
    rmSync(`${file}-shm`, { force: true });
  });
  return aside;
}

function isDamaged(file: string): boolean {
  try {
    const db = openReader(file);
    try {
      return guard(file, () => pageDamage(db) !== null);
    } finally {
      db.close();
    }
  } catch (error) {
    if (error instanceof TidemarkError && error.code === 'db_damaged') return true;
    throw error;
  }
}
