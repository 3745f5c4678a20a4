import type { ProgramOptions } from '@tidemark/command-line/program';
import * as feed from '@tidemark/master-feed/main';
import * as relay from '@tidemark/relay-server/main';
import * as terminal from '@tidemark/terminal/command/main';
import { Command, type Option } from 'commander';
import { generatedFrom, page, sentence, table } from './markdown.ts';

/**
 * Generates docs/reference/commands.md, which lists every command and its options, from the definitions that parse
 * them.
 */

/** The meaning of each exit code in `@tidemark/command-line/exit`. */
const EXIT_CODES = [
  ['0', 'The command did its work, or stopped because it was asked to.'],
  ['1', 'The command failed. One line on stderr holds the error: its code, its sentence, and what to do.'],
  ['2', 'Wrong usage: an unknown command, or an unknown or missing option.'],
  [
    '3',
    'A command of `tidemark-terminal` did its work, but the data falls short of head office’s ([S13](../protocol.md#s-relay-to-terminal)): the feed has a fault, the relay is behind or has no contact with head office, or tables are set aside. The output names the reason. Changes that wait at the relay do not count.',
  ],
  ['78', 'The configuration is invalid. The error lists all mistakes.'],
];

/** Environment variables that the commands read. A test compares this list with the code. */
const ENVIRONMENT = [
  ['TIDEMARK_TOKEN', 'tidemark-feed, tidemark-terminal', 'The key, where `--token-file` is absent.'],
  ['TIDEMARK_SOURCE', 'tidemark-feed', 'The master, where `--source` is absent.'],
  [
    'TIDEMARK_HEARTBEAT_MS',
    'tidemark-feed',
    'Time between heartbeats of an idle feed in ms, 5000 by default. For tests.',
  ],
  [
    'TIDEMARK_TABLE_RETRY_MS',
    'tidemark-feed',
    'Time after which the feed first tries a table again that it set aside, in ms, 60000 by default. For tests.',
  ],
  [
    'TIDEMARK_SOURCE_LAG_WARN_MS',
    'tidemark-terminal',
    'Source lag in ms from which a terminal no longer says that it is up to date, 300000 by default. For tests.',
  ],
  ['PGPASSWORD, PGPASSFILE', 'tidemark-feed', 'The password of the master’s user, or the file that holds it.'],
  ['HTTP_PROXY, HTTPS_PROXY, NO_PROXY', 'tidemark-terminal', 'The proxy through which it reaches the relay.'],
];

export function commandsPage(): string {
  const programs = [feed, relay, terminal].map(({ PROGRAM, define }) => programOf(PROGRAM, define));
  return page('Commands', [
    'The feed, the relay and the terminal each have one command. In a checkout, run them through npx: `npx tidemark-relay …`.',
    generatedFrom('the definitions of the commands'),
    ...programs.flatMap(programSection),
    '## Exit codes',
    table(
      ['code', 'meaning'],
      EXIT_CODES.map(([code, meaning]) => [code ?? '', meaning ?? '']),
    ),
    'SIGINT and SIGTERM stop a command at the next safe point. A second signal ends it immediately.',
    '## Environment',
    'Keys and passwords come from files or the environment, never from arguments, which every user of a machine can see.',
    table(
      ['variable', 'read by', 'meaning'],
      ENVIRONMENT.map(([name = '', by = '', meaning = '']) => [code(name), code(by), meaning]),
    ),
  ]);
}

/** Formats each name as inline code. */
const code = (names: string) =>
  names
    .split(', ')
    .map((name) => `\`${name}\``)
    .join(', ');

function programOf(options: ProgramOptions, define: (program: Command, stop: AbortSignal) => void): Command {
  const program = new Command(options.name).description(options.description).version(options.version);
  define(program, new AbortController().signal);
  return program;
}

function programSection(program: Command): (string | string[])[] {
  return [`## ${program.name()}`, sentence(program.description()), ...leaves(program).flatMap(commandSection)];
}

/** Returns the subcommands that do work, in the order of their definition. */
function leaves(command: Command): Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leaves);
}

function commandSection(command: Command): (string | string[])[] {
  const name = fullName(command);
  const required = command.options.filter(({ mandatory }) => mandatory).map(({ flags }) => flags);
  return [
    `### ${name}`,
    sentence(command.description()),
    ['```', [name, ...required, '[options]'].join(' '), '```'],
    table(
      ['option', 'required', 'meaning'],
      command.options.map((option) => [`\`${option.flags}\``, option.mandatory ? 'yes' : 'no', meaningOf(option)]),
    ),
  ];
}

const fullName = (command: Command): string =>
  command.parent ? `${fullName(command.parent)} ${command.name()}` : command.name();

function meaningOf({ description, defaultValue, negate }: Option): string {
  const isPlain = negate || defaultValue === undefined || Array.isArray(defaultValue);
  return isPlain ? description : `${description} (default: ${String(defaultValue)})`;
}
