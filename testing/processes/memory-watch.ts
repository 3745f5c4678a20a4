import { readFileSync, writeFileSync } from 'node:fs';

/** Measures how much the resident memory of a process grows, for tests that bound it. Linux only. */

const read = (pid: number, field: 'VmRSS' | 'VmHWM'): number => {
  const [, kilobytes] = new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) / 1024;
};

/** The growth of a process's memory since the watch began, in MiB. */
export class MemoryWatch {
  readonly #pid: number;
  readonly idleMib: number;

  /** Starts the measurement and discards earlier peaks. */
  constructor(pid: number | undefined) {
    if (pid === undefined) throw new Error('the process has not begun');
    this.#pid = pid;
    // The value 5 resets the peak of resident memory to the present size.
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
    this.idleMib = read(pid, 'VmRSS');
  }

  /** The peak since the watch began. The process must still run. */
  get peakMib(): number {
    return read(this.#pid, 'VmHWM');
  }

  get growthMib(): number {
    return this.peakMib - this.idleMib;
  }
}
