import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { endWithThisProcess } from './reaper.ts';

/**
 * Starts `tidemark-feed`, `tidemark-relay` and `tidemark-terminal` as child processes, and collects their output.
 *
 * A command that this process does not stop ends with this process.
 */

const root = path.resolve(import.meta.dirname, '../..');

/**
 * The entry module of each command. Node runs it directly, without a shell in between, so a kill reaches the command
 * itself.
 */
export const COMMANDS = {
  feed: path.join(root, 'master-feed/main.ts'),
  relay: path.join(root, 'relay-server/main.ts'),
  terminal: path.join(root, 'terminal/command/main.ts'),
} as const;

/** Characters of a command's output to keep, counted from its end. */
const KEPT = 1_000_000;

export interface Finished {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** A running command, with the last {@link KEPT} characters of its output. */
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

  /** Sends a signal and waits until the process has ended. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Finished> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill(signal);
    return this.ended;
  }
}

/** Starts a command with this process's Node. */
export function start(command: keyof typeof COMMANDS, args: string[], env: NodeJS.ProcessEnv = {}): Running {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', COMMANDS[command], ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  endWithThisProcess(child);
  return new Running(child);
}

/** Runs a command and waits until it has ended. */
export async function run(
  command: keyof typeof COMMANDS,
  args: string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Finished> {
  return start(command, args, env).ended;
}

/** Calls `check` until it returns a value. After `timeoutMs`, throws an error with the text of `explain`. */
export async function until<T>(
  check: () => Promise<T | undefined | false>,
  explain: () => string,
  timeoutMs = 180_000,
): Promise<T> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const value = await check();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > end) throw new Error(explain());
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
