import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import os from 'node:os';

/**
 * Reports whether a recorded process still runs. A process id alone does not suffice: the system reuses ids, so the start
 * time is compared too. When in doubt the answer is yes, because callers remove files and end processes.
 */

/** A process as it can be written to a file and recognised later. */
export interface ProcessIdentity {
  pid: number;
  /** When it started, in a form that only equality is defined for. Null where the platform does not say. */
  started: string | null;
  /** Process ids mean nothing on another machine or in another container that shares the folder. */
  host: string;
}

const WINDOWS = process.platform === 'win32';

export function identityOf(pid: number): ProcessIdentity {
  return { pid, started: startOf(pid), host: os.hostname() };
}

/** Whether this very process still runs. True for a process of another host, which cannot be checked from here. */
export function isSameProcessRunning(identity: ProcessIdentity): boolean {
  if (identity.host !== os.hostname()) return true;
  if (!isRunning(identity.pid)) return false;
  const started = startOf(identity.pid);
  return started === null || identity.started === null || started === identity.started;
}

/** Whether a process with this id runs. A zombie does not: where nothing reaps orphans, it would never be gone. */
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
  /** The command line of `pid`. */
  command: string;
  parent: number;
}

/** A running process and the id of its parent. Null when it is gone or the platform does not say. */
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

/** From /proc/<pid>/stat (Linux). The name in parentheses may itself hold spaces and parentheses. */
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
  // Ticks count from boot, so they are compared together with the id of the boot.
  if (stat) return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${stat.startTicks}`;
  const asked = spawnSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' });
  return asked.stdout?.trim() || null;
}
