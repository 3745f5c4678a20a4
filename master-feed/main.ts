import { readFileSync } from 'node:fs';
import { readKey } from '@tidemark/command-line/key';
import { type ProgramOptions, runProgram, subcommand } from '@tidemark/command-line/program';
import { FeedName } from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import { RelayAddress, unencryptedWarning } from '@tidemark/protocol/relay-address';
import type { Command } from 'commander';
import { pino } from 'pino';
import { FaultReports } from './fault-reports.ts';
import { runFeed } from './feed.ts';
import { RelayLink } from './relay-link.ts';
import { PostgresSource } from './sources/postgres/postgres-source.ts';
import { addressMistake, encryptionWarning } from './sources/postgres/source-address.ts';

/**
 * `tidemark-feed`: reads the options, connects a source to a relay, and runs the feed until the process receives a
 * signal to stop.
 */

const { version } = JSON.parse(readFileSync(new URL('./package.json', import.meta.url), 'utf8')) as { version: string };

interface Options {
  source?: string;
  feed: string;
  relay: string;
  tokenFile?: string;
}

async function run(options: Options, stop: AbortSignal): Promise<void> {
  const mistakes: string[] = [];
  const source = options.source ?? process.env.TIDEMARK_SOURCE ?? '';
  const mistake = addressMistake(source);
  if (mistake !== null) mistakes.push(`--source (or TIDEMARK_SOURCE): ${mistake}`);
  if (!FeedName.safeParse(options.feed).success) mistakes.push(`--feed: ${options.feed} is not a feed name`);
  const relay = RelayAddress.safeParse(options.relay);
  if (!relay.success) mistakes.push(`--relay: ${relay.error.issues[0]?.message}`);
  const token = readKey(options.tokenFile, process.env, mistakes);
  if (!relay.success || mistakes.length > 0) throw new TidemarkError('config_invalid', { detail: mistakes.join('; ') });

  const logger = pino({ base: { program: 'tidemark-feed', feed: options.feed } });
  const log = (event: string, fields: Record<string, unknown> = {}) => logger.info({ event, ...fields });
  for (const why of [encryptionWarning(source, process.env), unencryptedWarning(relay.data)])
    if (why !== null) logger.warn({ event: 'not-encrypted', why });
  // node-postgres ignores PGPASSFILE whenever PGPASSWORD exists, even if it is empty.
  if (process.env.PGPASSWORD === '') delete process.env.PGPASSWORD;
  const link = new RelayLink(relay.data, options.feed, token);
  await runFeed(
    {
      source: new PostgresSource(source, options.feed, log),
      relay: link,
      reports: new FaultReports((report) => link.report(report), Date.now),
      version,
      log,
      random: Math.random,
      now: Date.now,
    },
    stop,
  );
  log('stopped');
}

export const PROGRAM: ProgramOptions = {
  name: 'tidemark-feed',
  description: "Reads a master's log and sends it to a relay.",
  version,
  graceMs: null,
};

export function define(program: Command, stop: AbortSignal): void {
  subcommand(program, 'run', 'Run the feed until it is stopped.')
    .option(
      '--source <url>',
      'the master, as postgres://user@host/database (default: the variable TIDEMARK_SOURCE); the password may come from PGPASSWORD or PGPASSFILE',
    )
    .requiredOption('--feed <name>', 'name of the feed')
    .requiredOption('--relay <url>', 'address of the relay')
    .option('--token-file <file>', "file that holds the feed's key (default: the variable TIDEMARK_TOKEN)")
    .option('--json', 'print errors as JSON')
    .action((options: Options) => run(options, stop));
}

if (import.meta.main) await runProgram(PROGRAM, define);
