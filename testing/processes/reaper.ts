import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import { addOwner, currentRunFolder, leaveToOtherOwner } from './temporary-folder.ts';

/**
 * Ties child processes to the life of this process, however it ends. A helper process, the reaper, holds the other end
 * of a pipe. When this process exits, crashes or is killed, the operating system closes the pipe. The reaper then ends
 * every child that is still registered and removes the run folder. Neither Ctrl+C nor a closed console reaches the
 * reaper, because it has a session of its own.
 */

/** A line to the reaper, one JSON object each. */
export type ReaperLine =
  | { kind: 'started'; pid: number; signal: NodeJS.Signals }
  | { kind: 'ended'; pid: number }
  | { kind: 'folder'; folder: string };

/** One per process: its pipe stands for the life of this process. */
let reaper: ChildProcess | null = null;
const registered = new Set<number>();

/**
 * Ends `child` when this process has ended. `signal` asks the child to end; after a grace period it is killed. Call it
 * directly after spawning, before anything else can happen to this process.
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
  // A reaper that was killed must not end the process that it serves.
  child.on('error', () => undefined);
  child.stdin.on('error', () => undefined);
  // This process ends when its own work is done, although the reaper still runs.
  child.unref();
  (child.stdin as unknown as { unref(): void }).unref();
  addOwner(child.pid);
  child.stdin.write(`${JSON.stringify({ kind: 'folder', folder: currentRunFolder() } satisfies ReaperLine)}\n`);
  return child;
}

/** Small writes to an idle pipe reach the kernel before `write` returns, so a kill right afterwards loses nothing. */
function send(line: ReaperLine): void {
  if (reaper?.stdin?.writable) reaper.stdin.write(`${JSON.stringify(line)}\n`);
}
