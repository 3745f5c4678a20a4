import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import os from 'node:os';

/**
 * Reports whether a recorded process still runs. The system reuses process ids, so the start time is compared too. In
 * doubt the answer is yes, because callers remove the files of processes that have ended.
 */

/** Identifies a process in a file, so that another process can recognise it later. */
export interface ProcessIdentity {
  pid: number;
  /** The start time, in a form that can only be compared for equality. Null when the platform does not report it. */
  started: string | null;
  /** The host name. A process id has no meaning on another machine or in another container that shares the folder. */
  host: string;
}

const WINDOWS = process.platform === 'win32';

export function identityOf(pid: number): ProcessIdentity {
  return { pid, started: startOf(pid), host: os.hostname() };
}

/** Whether this process still runs. True for a process of another host, which this host cannot check. */
export function isSameProcessRunning(identity: ProcessIdentity): boolean {
  if (identity.host !== os.hostname()) return true;
  if (!isRunning(identity.pid)) return false;
  const started = startOf(identity.pid);
  return started === null || identity.started === null || started === identity.started;
}

/**
 * Whether a process with this id runs. A zombie does not count, because in a container without an init process nothing
 * may ever reap it.
 */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  return statOf(pid)?.state !== 'Z';
}

export interface ParentProcess {
  pid: number;
  /** The command line of the process. */
  command: string;
  parent: number;
}

/** Returns a running process and the id of its parent. Null when it has ended or the platform does not report it. */
export function processWithParent(pid: number): ParentProcess | null {
  const stat = statOf(pid);
  if (stat) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      return { pid, command, parent: stat.parent };
    } catch {
      return null;
    }
  }
  const query = `$p = Get-CimInstance Win32_Process -Filter "ProcessId=${pid}"; "$($p.ParentProcessId) $($p.CommandLine)"`;
  const asked = WINDOWS
    ? spawnSync('powershell.exe', ['-NoProfile', '-Command', query], { encoding: 'utf8', windowsHide: true })
    : spawnSync('ps', ['-o', 'ppid=,command=', '-p', String(pid)], { encoding: 'utf8' });
  const [, parent, command] = /^\s*(\d+)\s+(.*)$/m.exec(asked.stdout ?? '') ?? [];
  return parent === undefined ? null : { pid, command: command ?? '', parent: Number(parent) };
}

/** Parses /proc/<pid>/stat (Linux). The name in parentheses may itself contain spaces and parentheses. */
function statOf(pid: number): { state: string; parent: number; startTicks: string } | null {
  if (process.platform !== 'linux') return null;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0] ?? '', parent: Number(fields[1]), startTicks: fields[19] ?? '' };
  } catch {
    return null;
  }
}

function startOf(pid: number): string | null {
  if (WINDOWS) return null;
  const stat = statOf(pid);
  // Start times count from the boot, so they are stored together with the boot's id.
  if (stat) return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${stat.startTicks}`;
  const asked = spawnSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' });
  return asked.stdout?.trim() || null;
}
