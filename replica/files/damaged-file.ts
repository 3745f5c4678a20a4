import { existsSync, renameSync, rmSync } from 'node:fs';
import { TidemarkError } from '@tidemark/protocol/errors';
import { isMarkedDamaged } from '@tidemark/table-store/format';
import { guard, openReader, pageDamage, type Reader, type Writer } from '@tidemark/table-store/sqlite';
import { linkTarget } from './link-target.ts';
import { hasLockFile, WriterLock } from './writer-lock.ts';

/**
 * Finds damage in a replica's file, and renames a damaged file so that a fresh copy can be downloaded under its name.
 *
 * A file in which damage was found is marked, and not used again, because a run that does not read the damaged pages
 * would report success. The mark is in the header, since any other page may be damaged.
 *
 * A damaged file is kept, because it may hold tables of other programs. Its write-ahead log moves with it: left behind,
 * SQLite would apply it to the file that comes next.
 */

/**
 * Renames a replica if damage is known, or if SQLite's quick check finds some. Returns the new name; null: it is intact,
 * or there is none. Throws `db_in_use`, `db_*`.
 */
export function setAsideIfDamaged(name: string, { isKnown = false } = {}): string | null {
  const file = linkTarget(name);
  const mustMove = () => existsSync(file) && (isKnown || isDamaged(file));
  // Creating the lock would mark a file that never was a replica as one.
  if (!mustMove()) return null;
  const lock = new WriterLock(file);
  try {
    return mustMove() ? setAside(file) : null;
  } finally {
    lock.release();
  }
}

/** Throws `db_damaged` if damage was found in the replica earlier. */
export function refuseKnownDamage(db: Reader | Writer): void {
  if (!isMarkedDamaged(db)) return;
  throw new TidemarkError('db_damaged', { file: db.name, detail: 'the damage was found earlier' });
}

/** Checks the pages of a replica. Throws `db_damaged`. */
export function requireIntactPages(file: string): void {
  const db = openReader(file);
  try {
    const detail = guard(file, () => pageDamage(db));
    if (detail !== null) throw new TidemarkError('db_damaged', { file, detail });
  } finally {
    db.close();
  }
}

/**
 * Converts an error of opening `file`. A file that has been a replica and is no longer a SQLite database is damaged.
 */
export function openingError(file: string, error: unknown): unknown {
  if (!(error instanceof TidemarkError) || error.code !== 'db_not_sqlite' || !hasLockFile(file)) return error;
  return new TidemarkError('db_damaged', { file, detail: 'it does not begin like a SQLite database' }, error);
}

/** Renames a replica that no connection has open. Returns the new name. Throws `db_*`. */
function setAside(file: string): string {
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
      guard(file, () => refuseKnownDamage(db));
    } finally {
      db.close();
    }
    requireIntactPages(file);
    return false;
  } catch (error) {
    const coded = openingError(file, error);
    if (coded instanceof TidemarkError && coded.code === 'db_damaged') return true;
    throw coded;
  }
}
