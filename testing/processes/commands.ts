import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { endWithThisProcess } from './reaper.ts';

const root = path.resolve(import.meta.dirname, '../..');

/** The three commands, by their files: the process that is started is the one that can be killed. */
export const COMMANDS = {
  feed: path.join(root, 'master-feed/main.ts'),
  relay: path.join(root, 'relay-server/main.ts'),
  terminal: path.join(root, 'terminal/command/main.ts'),
} as const;

/** Most characters of a command's output that are kept. */
const KEPT = 1_000_000;

export interface Finished {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** A running command, with the end of its output. */
export class Running {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';
  readonly ended: Promise<Finished>;

  constructor(child: ChildProcess) {
    this.child = child;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout = (this.stdout + text).slice(-KEPT);
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr = (this.stderr + text).slice(-KEPT);
    });
    this.ended = once(child, 'close').then(([code, signal]) => ({
      code,
      signal,
      stdout: this.stdout,
      stderr: this.stderr,
    }));
  }

  /** Sends a signal and waits for the end. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Finished> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill(signal);
    return this.ended;
  }
}

/** Starts one of our commands on this Node. */
export function start(command: keyof typeof COMMANDS, args: string[], env: NodeJS.ProcessEnv = {}): Running {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', COMMANDS[command], ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  endWithThisProcess(child);
  return new Running(child);
}

/** Runs one of our commands to its end. */
export async function run(
  command: keyof typeof COMMANDS,
  args: string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Finished> {
  return start(command, args, env).ended;
}

/** Waits until `check` returns a value. After `timeoutMs` it throws the text of `explain`. */
export async function until<T>(
  check: () => Promise<T | undefined | false>,
  explain: () => string,
  timeoutMs = 180_000,
): Promise<T> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const value = await check();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > end) throw new Error(explain());
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
