import { readFileSync } from 'node:fs';
import { clearLine, cursorTo } from 'node:readline';
import { endOf, tokenOf } from '@tidemark/command-line/command';
import { FeedName } from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import { Command } from 'commander';
import { pino } from 'pino';
import { Secret } from '../relay/secret.ts';
import { type Call, pull, status, verify, watch } from './commands.ts';

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
  /** Of verify. */
  repair?: boolean;
}

function callOf(options: Options, stop: AbortController): Call {
  const mistakes: string[] = [];
  if (!/^https?:\/\/[^\s/?#@]+(\/[^\s?#]*)?$/.test(options.relay))
    mistakes.push('--relay: write it as http://host:port or https://host');
  if (!FeedName.safeParse(options.feed).success) mistakes.push(`--feed: ${options.feed} is not a feed name`);
  const token = tokenOf(
    {
      file: options.tokenFile,
      environment: process.env.TIDEMARK_TOKEN,
      read: (file) => readFileSync(file, 'utf8'),
    },
    mistakes,
  );
  if (mistakes.length > 0) throw new TidemarkError('config_invalid', { detail: mistakes.join('; ') });
  const logger = pino(
    { base: { program: 'tidemark-terminal' }, level: options.verbose ? 'debug' : 'silent' },
    pino.destination({ dest: 2, sync: true }),
  );
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      process.once(signal, () => process.exit(1));
      stop.abort();
    });
  }
  return {
    settings: {
      relayUrl: options.relay.replace(/\/+$/, ''),
      feed: options.feed,
      token: new Secret(token),
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
    signal: stop.signal,
  };
}

/** On a person's terminal, in its last line. */
function showLine(line: string | null): void {
  const { stderr } = process;
  if (!stderr.isTTY) return;
  cursorTo(stderr, 0);
  clearLine(stderr, 1);
  if (line !== null) stderr.write(line.slice(0, stderr.columns - 1));
}

const program = new Command('tidemark-terminal')
  .description('Keeps a branch PC’s copy: pulls from a relay into a SQLite file.')
  .version(version);
program.configureOutput({ writeErr: () => undefined }).exitOverride();
const command = (name: string, description: string, work: (call: Call, options: Options) => Promise<void>) =>
  program
    .command(name)
    .description(description)
    .requiredOption('--relay <url>', 'address of the relay')
    .requiredOption('--feed <name>', 'name of the feed')
    .option('--token-file <file>', "file with the terminal's token (or TIDEMARK_TOKEN)")
    .requiredOption('--db <file>', 'the SQLite file; made if it does not exist')
    .option('--json', 'for machines')
    .option('--verbose', 'log to stderr')
    .configureOutput({ writeErr: () => undefined })
    .exitOverride()
    .action((options: Options) => work(callOf(options, new AbortController()), options));
command('pull', 'Bring the file up to date, once.', pull);
command('status', 'Say how far it is and what the relay has; writes nothing.', status);
command('verify', 'Compare with the relay, show what differs, and repair just that.', (call, { repair }) =>
  verify(call, repair !== false),
).option('--no-repair', 'only show what differs (exit 1)');
command('watch', 'Follow the relay until stopped.', watch);

try {
  await program.parseAsync();
} catch (thrown) {
  const { line, exitCode } = endOf(thrown, process.argv.includes('--json'));
  if (line !== null) console.error(line);
  process.exitCode = exitCode;
}
