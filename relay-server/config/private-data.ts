import { chmodSync, lstatSync, readdirSync } from 'node:fs';
import path from 'node:path';

/**
 * Protects the relay's data, which contain the rows of all branches, from other accounts on the machine.
 *
 * New files are private because the relay's process has {@link PRIVATE_UMASK}, which covers the files that SQLite
 * creates. {@link makePrivate} changes the permissions of files from an earlier version. It must not change owners or
 * follow links.
 */

/** Umask that denies all permissions to group and others. */
export const PRIVATE_UMASK = 0o077;

/** Permission bits of group and others. */
const SHARED = 0o077;

/** Numbers of files and folders whose permissions were changed or could not be changed. */
export interface MadePrivate {
  changed: number;
  /** Number that could not be changed, because another account owns them. */
  refused: number;
}

/**
 * Removes the permissions of group and others from these files and folders, and recursively from the content of the
 * folders.
 */
export function makePrivate(roots: string[]): MadePrivate {
  const result: MadePrivate = { changed: 0, refused: 0 };
  // Windows uses access control lists instead, which files inherit from their folder.
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
  if (stat.isDirectory()) for (const name of namesIn(file)) visit(path.join(file, name), result);
}

/** A folder that this account cannot read, such as `lost+found` of a mounted disk, belongs to another one and is skipped. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
