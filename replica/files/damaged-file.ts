import { existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
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
 * A damaged file is kept, because it may hold tables of other programs. Its write-ahead log is a part of it, and is
 * renamed first: SQLite deletes a log that is left behind without its file. If the process ends between the two renames,
 * the next call gives the file the name that belongs to the log.
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
  return guard(file, () => {
    const log = `${file}-wal`;
    const hasLog = existsSync(log) && statSync(log).size > 0;
    const unfinished = hasLog ? null : unfinishedName(file);
    const aside = unfinished ?? `${file}.damaged-${new Date().toISOString().replaceAll(':', '')}`;
    if (hasLog) renameSync(log, `${aside}-wal`);
    renameSync(file, aside);
    for (const suffix of ['-wal', '-shm']) rmSync(file + suffix, { force: true });
    return aside;
  });
}

/** Returns the name for the file of a log that an interrupted call renamed. Null: there is none. */
function unfinishedName(file: string): string | null {
  const folder = path.dirname(file);
  const logs = readdirSync(folder).filter(
    (name) => name.startsWith(`${path.basename(file)}.damaged-`) && name.endsWith('-wal'),
  );
  const names = logs.map((name) => path.join(folder, name.slice(0, -'-wal'.length)));
  return names.find((name) => !existsSync(name)) ?? null;
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
