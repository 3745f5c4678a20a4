import closeWithGrace from 'close-with-grace';
import { Command } from 'commander';
import { exitAfter } from './exit.ts';

/**
 * Runs a command of Tidemark from its arguments to its exit code.
 *
 * It parses the arguments, does the work, prints one line if the work fails, and sets the exit code, in this order. SIGINT,
 * SIGTERM and similar signals abort the `stop` signal. The process then waits until the work has ended, so the work chooses
 * the safe point and the exit code. A second signal ends the process immediately with exit code 1.
 *
 * Work must therefore observe `stop`, and must never call process.exit or install signal handlers.
 */
export interface ProgramOptions {
  name: string;
  description: string;
  version: string;
  /** Time limit for the work to end after a signal, ms. Null: none. */
  graceMs: number | null;
}

export async function runProgram(
  { name, description, version, graceMs }: ProgramOptions,
  /** Adds the program's subcommands. */
  define: (program: Command, stop: AbortSignal) => void,
): Promise<void> {
  const json = process.argv.includes('--json');
  const stop = new AbortController();
  const ended = Promise.withResolvers<void>();
  const handlers = closeWithGrace(
    {
      delay: graceMs ?? false,
      logger: false,
      // The work decides when the process ends. By default, the library would exit with code 0.
      skip: ['beforeExit'],
      onTimeout: (delay) => console.error(`${name}: did not stop within ${delay / 1000} s`),
    },
    async ({ err }) => {
      if (err) {
        report(err, json);
        if (!json) console.error(err.stack);
        // After an uncaught error the work may be incomplete and never end, so it needs a time limit.
        if (graceMs === null) process.exit();
      }
      stop.abort();
      await ended.promise;
      process.exit();
    },
  );
  try {
    const program = strict(new Command(name).description(description).version(version));
    define(program, stop.signal);
    await program.parseAsync();
  } catch (thrown) {
    report(thrown, json);
  } finally {
    handlers.uninstall();
    ended.resolve();
  }
}

/** Adds a subcommand whose errors {@link runProgram} reports. */
export function subcommand(parent: Command, name: string, description: string): Command {
  return strict(parent.command(name).description(description));
}

/** Resolves once `stop` is aborted. */
export function aborted(stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (stop.aborted) resolve();
    else stop.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** Makes commander throw instead of printing errors and ending the process. */
function strict(command: Command): Command {
  return command.configureOutput({ writeErr: () => undefined }).exitOverride();
}

function report(thrown: unknown, json: boolean): void {
  const { line, exitCode } = exitAfter(thrown, json);
  if (line !== null) console.error(line);
  process.exitCode = exitCode;
}
