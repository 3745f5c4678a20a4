import { readFileSync } from 'node:fs';
import { endOf, tokenOf } from '@tidemark/command-line/command';
import { FeedName } from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import { Command } from 'commander';
import { pino } from 'pino';
import { runFeed } from './feed.ts';
import { PostgresSource } from './postgres/postgres-source.ts';
import { RelayLink } from './relay-link.ts';

const { version } = JSON.parse(readFileSync(new URL('./package.json', import.meta.url), 'utf8')) as { version: string };

interface Options {
  source?: string;
  feed: string;
  relay: string;
  tokenFile?: string;
}

async function run(options: Options): Promise<void> {
  const mistakes: string[] = [];
  const source = options.source ?? process.env.TIDEMARK_SOURCE ?? '';
  if (!/^postgres(ql)?:\/\//.test(source))
    mistakes.push('--source (or TIDEMARK_SOURCE): write it as postgres://user@host/database');
  if (!FeedName.safeParse(options.feed).success) mistakes.push(`--feed: ${options.feed} is not a feed name`);
  if (!/^https?:\/\/[^\s/]+/.test(options.relay))
    mistakes.push('--relay: write it as http://host:port or https://host');
  const token = tokenOf(
    {
      file: options.tokenFile,
      environment: process.env.TIDEMARK_TOKEN,
      read: (file) => readFileSync(file, 'utf8'),
    },
    mistakes,
  );
  if (mistakes.length > 0) throw new TidemarkError('config_invalid', { detail: mistakes.join('; ') });

  const logger = pino({ base: { program: 'tidemark-feed', feed: options.feed } });
  const log = (event: string, fields: Record<string, unknown> = {}) => logger.info({ event, ...fields });
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      process.once(signal, () => process.exit(1));
      stop.abort();
    });
  }
  await runFeed(
    {
      source: new PostgresSource(source, options.feed, log),
      relay: new RelayLink(options.relay, options.feed, token),
      version,
      log,
      random: Math.random,
      now: Date.now,
    },
    stop.signal,
  );
  log('stopped');
}

const program = new Command('tidemark-feed')
  .description("Reads a master's log and hands it to the relay.")
  .version(version);
program.configureOutput({ writeErr: () => undefined }).exitOverride();
program
  .command('run')
  .description('Run the feed until it is stopped.')
  .option(
    '--source <url>',
    'the master: postgres://user@host/database; the password may come from PGPASSWORD or PGPASSFILE (or all from TIDEMARK_SOURCE)',
  )
  .requiredOption('--feed <name>', 'name of the feed')
  .requiredOption('--relay <url>', 'address of the relay')
  .option('--token-file <file>', "file with the feed's token (or TIDEMARK_TOKEN)")
  .option('--json', 'errors for machines')
  .configureOutput({ writeErr: () => undefined })
  .exitOverride()
  .action(run);

try {
  await program.parseAsync();
  process.exitCode ??= 0;
} catch (thrown) {
  const { line, exitCode } = endOf(thrown, process.argv.includes('--json'));
  if (line !== null) console.error(line);
  process.exitCode = exitCode;
}
