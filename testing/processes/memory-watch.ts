import { readFileSync, writeFileSync } from 'node:fs';

const read = (pid: number, field: 'VmRSS' | 'VmHWM'): number => {
  const [, kilobytes] = new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) / 1024;
};

/** Measures the peak of a process's memory above its level at one moment, in MiB. Linux only. */
export class MemoryWatch {
  readonly #pid: number;
  readonly idleMib: number;

  /** Starts the measurement. Earlier peaks do not count. */
  constructor(pid: number | undefined) {
    if (pid === undefined) throw new Error('the process has not begun');
    this.#pid = pid;
    // 5 resets the peak of resident memory to its present value.
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
