import { existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { TidemarkError } from '@tidemark/protocol/errors';
import { guard, openReader, pageDamage } from '@tidemark/table-store/sqlite';
import { linkTarget } from './link-target.ts';
import { WriterLock } from './writer-lock.ts';

/**
 * Renames a damaged replica, so that a fresh copy can be downloaded under its name.
 *
 * The damaged file is kept, because it may hold tables of other programs. Its write-ahead log is a part of it.
 *
 * Order: the log is renamed first. SQLite deletes a log that is left behind without its file. If the process ends between
 * the two renames, the next call gives the file the name that belongs to the log.
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
      return guard(file, () => pageDamage(db) !== null);
    } finally {
      db.close();
    }
  } catch (error) {
    if (error instanceof TidemarkError && error.code === 'db_damaged') return true;
    throw error;
  }
}
