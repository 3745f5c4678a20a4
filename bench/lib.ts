import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';

/** Returns the median. NaN for an empty list. */
export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low, high] = [sorted[middle - 1] ?? Number.NaN, sorted[middle] ?? Number.NaN];
  return sorted.length % 2 === 1 ? high : (low + high) / 2;
}

/** Returns the quantile at `part`, which is between 0 and 1. NaN for an empty list. */
export function quantile(values: number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

/** One row of the table of results. */
export interface Result {
  what: string;
  ours: string;
  limit: string;
  /** The text of the cell, such as `0.93` or `12 ×`. */
  ratio: string;
  reach: string;
  /**
   * Whether the goal was met. Null when the row is for comparison only, or was not measured; `ours` gives the reason.
   */
  met: boolean | null;
}

export const RUNS = Number(process.env.BENCH_RUNS ?? 5);

/** Measures our code and its limit alternately, so that other load on the machine affects both. Returns the medians. */
export async function inTurn(
  ours: () => Promise<number>,
  limit: () => Promise<number>,
): Promise<{ ours: number; limit: number }> {
  const a: number[] = [];
  const b: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    a.push(await ours());
    b.push(await limit());
  }
  return { ours: median(a), limit: median(b) };
}

export async function seconds(work: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await work();
  return (performance.now() - begin) / 1000;
}

/** Returns a process's CPU time, in seconds, and its peak resident memory, in MiB. Linux only. */
export function usage(pid: number | undefined): { cpuS: number; peakMib: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const cpuS = (Number(fields[11]) + Number(fields[12])) / 100;
  const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return { cpuS, peakMib: Number(peak) / 1024 };
}

/**
 * Another Node process of the benchmark. It prints `ready {json}` once it has started, and is killed by its process id.
 */
export class Helper<T = unknown> {
  readonly child: ChildProcess;
  readonly ready: T;

  private constructor(child: ChildProcess, ready: T) {
    this.child = child;
    this.ready = ready;
  }

  static start<T>(file: string, ...args: string[]): Promise<Helper<T>> {
    const child = spawn(process.execPath, [path.join(import.meta.dirname, file), ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    return new Promise((resolve, reject) => {
      let said = '';
      child.once('exit', (code) => reject(new Error(`${file} ended (${code})`)));
      child.stdout?.on('data', (chunk: Buffer) => {
        said += chunk.toString();
        const line = /^ready (.*)$/m.exec(said)?.[1];
        if (line !== undefined) resolve(new Helper(child, JSON.parse(line) as T));
      });
    });
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null) return;
    const exited = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGTERM');
    await exited;
  }
}

export const thousands = (value: number): string => `${Math.round(value / 1000)} k`;
