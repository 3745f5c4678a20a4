import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import { addOwner, currentRunFolder, leaveToOtherOwner } from './temporary-folder.ts';

/**
 * Ends child processes when this process ends, for whatever reason. A helper process, the reaper, holds the other end
 * of a pipe. When this process exits, crashes or is killed, the operating system closes the pipe. The reaper then ends
 * every child that is still registered and removes the run folder. The reaper has its own session, so neither Ctrl+C
 * nor a closed console reaches it.
 */

/** One line to the reaper: a JSON object. */
export type ReaperLine =
  | { kind: 'started'; pid: number; signal: NodeJS.Signals }
  | { kind: 'ended'; pid: number }
  | { kind: 'folder'; folder: string };

/** The reaper of this process. There is only one, because its pipe represents this process. */
let reaper: ChildProcess | null = null;
const registered = new Set<number>();

/**
 * Ends `child` after this process has ended. The reaper first sends `signal`, and kills the child after a grace period.
 * Call this directly after spawning, so that nothing can end this process before the child is registered.
 */
export function endWithThisProcess(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): void {
  const { pid } = child;
  if (pid === undefined) return;
  reaper ??= startReaper();
  registered.add(pid);
  leaveToOtherOwner(true);
  send({ kind: 'started', pid, signal });
  child.once('exit', () => {
    registered.delete(pid);
    leaveToOtherOwner(registered.size > 0);
    send({ kind: 'ended', pid });
  });
}

function startReaper(): ChildProcess {
  const main = path.join(import.meta.dirname, 'reaper-process.ts');
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    windowsHide: true,
  });
  if (child.pid === undefined || !child.stdin)
    throw new Error('the process that ends abandoned children did not start');
  // A failure of the reaper must not end this process.
  child.on('error', () => undefined);
  child.stdin.on('error', () => undefined);
  // The running reaper must not keep this process alive.
  child.unref();
  (child.stdin as unknown as { unref(): void }).unref();
  addOwner(child.pid);
  child.stdin.write(`${JSON.stringify({ kind: 'folder', folder: currentRunFolder() } satisfies ReaperLine)}\n`);
  return child;
}

/**
 * Sends a line. A small write to an idle pipe reaches the kernel before `write` returns, so a kill right afterwards
 * loses nothing.
 */
function send(line: ReaperLine): void {
  if (reaper?.stdin?.writable) reaper.stdin.write(`${JSON.stringify(line)}\n`);
}
