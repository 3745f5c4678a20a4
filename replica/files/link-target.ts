import { readlinkSync } from 'node:fs';
import path from 'node:path';

/**
 * Follows symbolic links to the file of a replica, even if the file does not exist yet.
 *
 * A replica's lock and downloads are next to the file that a link leads to. If they were named after the link, they
 * could be on another disk, a rename would replace the link, and two links to one file would have two locks.
 */

/** Largest number of links to follow. More count as a loop, as on Linux. */
const MOST_LINKS = 40;

/**
 * Returns the file that `file` leads to. Returns `file` unchanged when the links form a loop, so that opening it fails.
 */
export function linkTarget(file: string): string {
  let target = file;
  for (let links = 0; links < MOST_LINKS; links++) {
    const next = linkOf(target);
    if (next === null) return target;
    target = path.resolve(path.dirname(target), next);
  }
  return file;
}

/** Returns the target of a symbolic link. Null when the file is not a link or does not exist. */
function linkOf(file: string): string | null {
  try {
    return readlinkSync(file);
  } catch {
    return null;
  }
}
