import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { identityOf, isSameProcessRunning, type ProcessIdentity } from './process-identity.ts';

/**
 * Creates temporary folders, and removes those that killed processes left.
 *
 * All folders of one process are inside its run folder, whose `owners.json` names the processes that use it. The
 * process removes the run folder when it exits. A killed process cannot, so the next process that needs a temporary
 * folder removes every run folder without a running owner. It must never remove a folder that has no readable
 * `owners.json`, belongs to another user, or has a running owner.
 */

const PREFIX = 'tidemark-run-';
const OWNERS = 'owners.json';

/** The run folder of this process. There is only one. */
let runFolder: string | null = null;
let owners: ProcessIdentity[] = [];
let keepAtExit = false;

/** Creates an empty folder whose name begins with `name`. */
export function temporaryFolder(name: string): string {
  runFolder ??= createRunFolder();
  return mkdtempSync(path.join(runFolder, `${name}-`));
}

/** Returns this process's run folder, which contains all its temporary folders. Creates it on first use. */
export function currentRunFolder(): string {
  runFolder ??= createRunFolder();
  return runFolder;
}

/** Adds `pid` as an owner. The run folder then remains until that process ends too and removes the folder. */
export function addOwner(pid: number): void {
  const folder = currentRunFolder();
  owners.push(identityOf(pid));
  writeFileSync(path.join(folder, OWNERS), JSON.stringify(owners));
}

/** Sets whether the exit of this process leaves the run folder to its other owner. */
export function leaveToOtherOwner(leave: boolean): void {
  keepAtExit = leave;
}

function createRunFolder(): string {
  removeAbandoned();
  const folder = mkdtempSync(path.join(os.tmpdir(), PREFIX));
  owners = [identityOf(process.pid)];
  writeFileSync(path.join(folder, OWNERS), JSON.stringify(owners));
  // Tests run Postgres and commands as other users, who own folders in here and must be able to enter.
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
      // Another process is creating or removing this folder.
      continue;
    }
    removeQuietly(folder);
  }
}

/** Removes a folder as far as possible. A later run removes the rest. */
export function removeQuietly(folder: string): void {
  try {
    makeWritable(folder);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  } catch {
    // Another process has removed it, or still uses it (Windows).
  }
}

/**
 * Makes folders writable. A killed test may leave folders without write permission, whose entries cannot be removed.
 */
function makeWritable(folder: string): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }))
    if (entry.isDirectory()) chmodSync(path.join(entry.parentPath, entry.name), 0o755);
}
