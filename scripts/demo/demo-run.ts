import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Running, until } from '@tidemark/testing/processes';
import { isRunning } from '@tidemark/testing/processes/process-identity';

/** Starts a demo without a display for a test, and finds the processes and files that remain after it. */

const MINUTE = 60_000;

export class DemoRun {
  readonly child: ChildProcess;
  readonly output: Running;
  /** Process ids that the demo printed: Postgres, feed, relay and terminal. */
  pids: number[] = [];
  readonly #folder: string;

  private constructor(folder: string, child: ChildProcess) {
    this.#folder = folder;
    this.child = child;
    this.output = new Running(child);
  }

  /** Starts `command` with `folder` as its temporary folder. No other process may use that folder. */
  static start(folder: string, command: string, args: string[], options: SpawnOptions): DemoRun {
    const { DISPLAY: _, WAYLAND_DISPLAY: __, ...env } = options.env ?? process.env;
    const child = spawn(command, args, {
      ...options,
      env: { ...env, TMPDIR: folder, TMP: folder, TEMP: folder },
      stdio: ['ignore', 'pipe', 'pipe'],
      // The demo gets its own session, as a console window would give it.
      detached: true,
      shell: command === 'npm' && process.platform === 'win32',
    });
    return new DemoRun(folder, child);
  }

  /** Waits until the branch PC has received data. Throws an error with the output when the demo ends earlier. */
  async receivedData(): Promise<void> {
    const { child, output } = this;
    const printed = () => `the demo has not received data:\n${output.stdout}${output.stderr}`;
    await until(
      async () => /Received [\d,]+ changes/.test(output.stdout) || child.exitCode !== null,
      printed,
      5 * MINUTE,
    );
    if (child.exitCode !== null) throw new Error(printed());
    this.pids = [...output.stdout.matchAll(/\(process (\d+)\)/g)].map(([, pid]) => Number(pid));
    if (this.pids.length !== 4 || !this.pids.every(isRunning))
      throw new Error(`four processes should run: ${this.pids.join(', ')}\n${output.stdout}`);
  }

  /** Sends a signal to the demo and to every process in its console. */
  signalConsole(signal: NodeJS.Signals): void {
    if (this.child.pid !== undefined) process.kill(-this.child.pid, signal);
  }

  /** Waits until the started process has exited. Returns its exit code, or null after a signal. */
  async exited(): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'exit');
    return this.child.exitCode;
  }

  /**
   * Waits until all processes of the demo have ended and its files are removed. Throws with the names of those that
   * remain.
   */
  async nothingLeft(): Promise<void> {
    const left = () => [
      ...this.pids.filter(isRunning).map(String),
      ...processesUsing(this.#folder),
      ...readdirSync(this.#folder).filter((name) => name.startsWith('tidemark-run-')),
    ];
    await until(
      async () => left().length === 0,
      () => `remains of the demo: ${left().join('\n')}`,
      2 * MINUTE,
    );
  }
}

/** Lists the processes that name `folder` in their arguments or environment. Linux only. */
function processesUsing(folder: string): string[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid && isRunning(Number(name)))
    .flatMap((pid) => {
      const read = (file: string) => {
        try {
          return readFileSync(path.join('/proc', pid, file), 'utf8').replaceAll('\0', ' ');
        } catch {
          return '';
        }
      };
      const command = read('cmdline');
      return command.includes(folder) || read('environ').includes(folder) ? [`${pid} ${command}`] : [];
    });
}
