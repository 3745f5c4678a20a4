import { readFileSync, writeFileSync } from 'node:fs';

const read = (pid: number, field: 'VmRSS' | 'VmHWM'): number => {
  const [, kilobytes] = new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) / 1024;
};

/** How much memory a process takes beyond what it took at a moment (Linux), MiB. */
export class MemoryWatch {
  readonly #pid: number;
  readonly idleMib: number;

  /** Begins now: what the process took before does not count as its peak. */
  constructor(pid: number | undefined) {
    if (pid === undefined) throw new Error('the process has not begun');
    this.#pid = pid;
    // 5: sets the peak of resident memory to what it is now.
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
    this.idleMib = read(pid, 'VmRSS');
  }

  /** Peak since the watch began. The process must still run. */
  get peakMib(): number {
    return read(this.#pid, 'VmHWM');
  }

  get growthMib(): number {
    return this.peakMib - this.idleMib;
  }
}
