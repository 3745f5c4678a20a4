import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { identityOf, isSameProcessRunning, type ProcessIdentity } from './process-identity.ts';

/**
 * Temporary folders that do not pile up. All folders of one process are inside that process's run folder, whose
 * `owners.json` names the processes that use it. The run folder is removed when the process exits. A process that is
 * killed cannot do that, so the next one that needs a temporary folder removes run folders without a living owner. It
 * must never remove a folder that has no readable `owners.json`, belongs to another user, or has a living owner.
 */

const PREFIX = 'tidemark-run-';
const OWNERS = 'owners.json';

/** One per process, like the process id that it stands for. */
let runFolder: string | null = null;
let owners: ProcessIdentity[] = [];
let keepAtExit = false;

/** Creates an empty folder whose name begins with `name`. */
export function temporaryFolder(name: string): string {
  runFolder ??= createRunFolder();
  return mkdtempSync(path.join(runFolder, `${name}-`));
}

/** The folder of this process that all its temporary folders are in. */
export function currentRunFolder(): string {
  runFolder ??= createRunFolder();
  return runFolder;
}

/** Keeps the run folder until `pid` has ended too, which then removes it. */
export function addOwner(pid: number): void {
  const folder = currentRunFolder();
  owners.push(identityOf(pid));
  writeFileSync(path.join(folder, OWNERS), JSON.stringify(owners));
}

/** While true, the exit of this process leaves the run folder to its other owner. */
export function leaveToOtherOwner(leave: boolean): void {
  keepAtExit = leave;
}

function createRunFolder(): string {
  removeAbandoned();
  const folder = mkdtempSync(path.join(os.tmpdir(), PREFIX));
  owners = [identityOf(process.pid)];
  writeFileSync(path.join(folder, OWNERS), JSON.stringify(owners));
  // Tests run Postgres and commands as other users, who must be able to enter folders inside that are theirs.
  chmodSync(folder, 0o711);
  process.on('exit', () => {
    if (!keepAtExit) removeQuietly(folder);
  });
  return folder;
}

/** Removes run folders whose owners have all ended. */
export function removeAbandoned(): void {
  for (const name of readdirSync(os.tmpdir())) {
    if (!name.startsWith(PREFIX)) continue;
    const folder = path.join(os.tmpdir(), name);
    try {
      if (process.getuid && statSync(folder).uid !== process.getuid()) continue;
      const recorded = JSON.parse(readFileSync(path.join(folder, OWNERS), 'utf8')) as ProcessIdentity[];
      if (recorded.some(isSameProcessRunning)) continue;
    } catch {
      // Another process creates or removes it at this moment.
      continue;
    }
    removeQuietly(folder);
  }
}

/** Removes a folder. The next run removes files that cannot be removed now. */
export function removeQuietly(folder: string): void {
  try {
    makeWritable(folder);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  } catch {
    // Removed by another process, or still in use (Windows).
  }
}

/** A killed test may leave folders without write permission, whose entries could not be removed. */
function makeWritable(folder: string): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }))
    if (entry.isDirectory()) chmodSync(path.join(entry.parentPath, entry.name), 0o755);
}
