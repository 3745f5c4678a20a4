import { readFileSync } from 'node:fs';
import { clearLine, cursorTo } from 'node:readline';
import type { ExitCode } from '@tidemark/command-line/exit';
import { readKey } from '@tidemark/command-line/key';
import { type ProgramOptions, runProgram, subcommand } from '@tidemark/command-line/program';
import { FeedName } from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import { RelayAddress, unencryptedWarning } from '@tidemark/protocol/relay-address';
import type { Command } from 'commander';
import { pino } from 'pino';
import { Secret } from '../relay/secret.ts';
import type { Call } from './call.ts';
import { recopy } from './recopy.ts';
import { pull, verify } from './run-once.ts';
import { status } from './status.ts';
import { watch } from './watch.ts';

/**
 * `tidemark-terminal`: defines the options and the help of each command. The work of each is in its own module in this
 * folder.
 */

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

interface Options {
  relay: string;
  feed: string;
  tokenFile?: string;
  db: string;
  json?: boolean;
  verbose?: boolean;
  /** Option of verify. --no-repair sets it to false. */
  repair?: boolean;
  /** Option of recopy. */
  yes?: boolean;
}

/** Checks the options. Throws `config_invalid` with all mistakes. */
function callOf(options: Options, stop: AbortSignal): Call {
  const mistakes: string[] = [];
  const relay = RelayAddress.safeParse(options.relay);
  if (!relay.success) mistakes.push(`--relay: ${relay.error.issues[0]?.message}`);
  if (!FeedName.safeParse(options.feed).success) mistakes.push(`--feed: ${options.feed} is not a feed name`);
  const key = readKey(options.tokenFile, process.env, mistakes);
  if (!relay.success || mistakes.length > 0) throw new TidemarkError('config_invalid', { detail: mistakes.join('; ') });
  const logger = pino(
    { base: { program: 'tidemark-terminal' }, level: options.verbose ? 'debug' : 'silent' },
    pino.destination({ dest: 2, sync: true }),
  );
  return {
    settings: {
      relayUrl: relay.data,
      feed: options.feed,
      token: new Secret(key),
      centralName: '',
      terminalName: '',
      everyMs: null,
      automatic: 'check',
    },
    database: options.db,
    version,
    json: options.json === true,
    log: (level, event, fields) => logger[level]({ event, ...fields }),
    print: (line) => console.log(line),
    show: options.json || options.verbose ? () => undefined : showLine,
    signal: stop,
  };
}

/**
 * Returns the function that shows a line of progress on a console, in place of the previous one. Null clears the line.
 */
function showLine(line: string | null): void {
  const { stderr } = process;
  if (!stderr.isTTY) return;
  cursorTo(stderr, 0);
  clearLine(stderr, 1);
  if (line !== null) stderr.write(line.slice(0, stderr.columns - 1));
}

export function define(program: Command, stop: AbortSignal): void {
  const add = (name: string, description: string, work: (call: Call, options: Options) => Promise<ExitCode>) =>
    subcommand(program, name, description)
      .requiredOption('--relay <url>', 'address of the relay')
      .requiredOption('--feed <name>', 'name of the feed')
      .option('--token-file <file>', "file that holds the terminal's key (default: the variable TIDEMARK_TOKEN)")
      .requiredOption('--db <file>', 'SQLite file of the replica; the first download creates it')
      .option('--json', 'print results and errors as JSON')
      .option('--verbose', 'log to stderr')
      .action(async (options: Options) => {
        const call = callOf(options, stop);
        const warning = unencryptedWarning(options.relay);
        if (warning !== null) console.error(call.json ? JSON.stringify({ warning }) : `warning: ${warning}`);
        process.exitCode = await work(call, options);
      });
  add('pull', 'Bring the replica up to date, once.', pull);
  add('status', 'Show how far behind the replica is. Writes nothing.', status);
  add('verify', 'Compare the replica with the relay and repair the rows that differ.', (call, { repair }) =>
    verify(call, repair !== false),
  ).option('--no-repair', 'only show the differences; exit 1 if there are any');
  add('recopy', 'Download a fresh copy, even if the replica is up to date or damaged.', (call, { yes }) =>
    recopy(call, yes === true),
  ).option('--yes', 'do not ask; required where the command does not run in a terminal window');
  add('watch', 'Keep the replica up to date until stopped.', watch);
}

export const PROGRAM: ProgramOptions = {
  name: 'tidemark-terminal',
  description: "Keeps a branch office's copy of its data: pulls changes from a relay into a SQLite file.",
  version,
  graceMs: null,
};

if (import.meta.main) await runProgram(PROGRAM, define);
