import { chmodSync, lstatSync, readdirSync } from 'node:fs';
import path from 'node:path';

/**
 * Keeps the relay's data from other accounts of the machine: the data hold all branches' rows.
 *
 * New files are private because the relay's process has {@link PRIVATE_UMASK}, which covers the files that SQLite
 * creates. {@link makePrivate} changes the files of an earlier version. It changes no owner, and follows no link.
 */

/** No permission for group and others. */
export const PRIVATE_UMASK = 0o077;

/** Permissions of group and others. */
const SHARED = 0o077;

/** Files and folders whose permissions were changed, and those that could not be. */
export interface MadePrivate {
  changed: number;
  /** Another account owns them. */
  refused: number;
}

/** Removes the permissions of group and others from each of these files, and from a folder and its content, at every level. */
export function makePrivate(roots: string[]): MadePrivate {
  const result: MadePrivate = { changed: 0, refused: 0 };
  // Windows has access lists instead, which a folder's files inherit.
  if (process.platform === 'win32') return result;
  for (const root of roots) visit(root, result);
  return result;
}

function visit(file: string, result: MadePrivate): void {
  const stat = lstatSync(file, { throwIfNoEntry: false });
  if (!stat || stat.isSymbolicLink()) return;
  if ((stat.mode & SHARED) !== 0) {
    try {
      chmodSync(file, stat.mode & 0o777 & ~SHARED);
      result.changed++;
    } catch {
      result.refused++;
    }
  }
  if (stat.isDirectory()) for (const name of readdirSync(file)) visit(path.join(file, name), result);
}
