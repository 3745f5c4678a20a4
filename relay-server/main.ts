import { readFileSync } from 'node:fs';
import { Role } from '@tidemark/protocol/api.ts';
import { endOf } from '@tidemark/protocol/command.ts';
import { TidemarkError } from '@tidemark/protocol/errors.ts';
import closeWithGrace from 'close-with-grace';
import { Command } from 'commander';
import { pino } from 'pino';
import { readConfig } from './config.ts';
import { startRelay } from './relay.ts';
import { Tokens } from './tokens.ts';

const { version } = JSON.parse(readFileSync(new URL('./package.json', import.meta.url), 'utf8')) as { version: string };

async function serve({ config: file }: { config: string }): Promise<void> {
  const config = readConfig(file);
  const logger = pino({ base: { program: 'tidemark-relay' } });
  const relay = await startRelay(config, {
    now: Date.now,
    version,
    log: (event, fields) => logger.info({ event, ...fields }),
  });
  closeWithGrace(
    { delay: 15_000, logger: { error: (error: unknown) => logger.error({ event: 'stopping', error: String(error) }) } },
    async () => {
      await relay.stop();
      logger.info({ event: 'stopped' });
    },
  );
  logger.info({ event: 'listening', url: relay.url, data: config.data, feeds: Object.keys(config.feeds) });
}

interface TokenOptions {
  config: string;
  role: string;
  feed?: string;
  name: string;
  set: string[];
  json?: boolean;
}

function withTokens<T>(file: string, work: (tokens: Tokens, feeds: string[]) => T): T {
  const config = readConfig(file);
  const tokens = new Tokens(config);
  try {
    return work(tokens, Object.keys(config.feeds));
  } finally {
    tokens.close();
  }
}

/** `--set branch=7 --set branch=8` is the same as `--set branch=7,8`. */
function attributesOf(pairs: string[]): Record<string, string> {
  const attributes = new Map<string, string[]>();
  for (const pair of pairs) {
    const [, key, value] = /^([A-Za-z_]\w*)=(.*)$/s.exec(pair) ?? [];
    if (key === undefined || value === undefined)
      throw new TidemarkError('usage', { detail: `--set: ${pair} is not written as name=value` });
    attributes.set(key, [...(attributes.get(key) ?? []), value]);
  }
  return Object.fromEntries([...attributes].map(([key, values]) => [key, values.join(',')]));
}

function setToken({ config, name, feed = '', set, json }: TokenOptions): void {
  const attributes = attributesOf(set);
  if (withTokens(config, (tokens) => tokens.set(name, feed, attributes)) === 0)
    throw new TidemarkError('usage', { detail: `--name: there is no token named ${name} for ${feed}` });
  console.log(json ? JSON.stringify({ name, feed, attributes }) : `${name} now has ${JSON.stringify(attributes)}.`);
}

function addToken(options: TokenOptions): void {
  const role = Role.safeParse(options.role);
  if (!role.success)
    throw new TidemarkError('usage', { detail: `--role: ${options.role} is none of feed, terminal, admin` });
  const attributes = attributesOf(options.set);
  const token = withTokens(options.config, (tokens, feeds) => {
    const feed = options.feed ?? '';
    if (!feeds.includes(feed))
      throw new TidemarkError('usage', {
        detail: `--feed: ${feed || 'nothing'} is not a feed of the config (${feeds.join(', ')})`,
      });
    return tokens.add({ name: options.name, role: role.data, feed, attributes }, new Date());
  });
  console.log(
    options.json
      ? JSON.stringify({ token, name: options.name, role: role.data, feed: options.feed, attributes })
      : token,
  );
}

function listTokens({ config, json }: TokenOptions): void {
  const list = withTokens(config, (tokens) => tokens.list());
  if (json) console.log(JSON.stringify(list));
  else if (list.length === 0) console.error('No tokens yet.');
  else
    console.table(
      list.map(({ attributes, ...row }) => ({
        ...row,
        attributes: Object.entries(attributes)
          .map(([key, value]) => `${key}=${value}`)
          .join(' '),
      })),
    );
}

function revokeToken({ config, name, feed, json }: TokenOptions): void {
  const revoked = withTokens(config, (tokens) => tokens.revoke(name, feed));
  if (revoked === 0) throw new TidemarkError('usage', { detail: `--name: there is no token named ${name}` });
  console.log(json ? JSON.stringify({ revoked }) : `Revoked ${revoked}.`);
}

const program = new Command('tidemark-relay')
  .description('Keeps the increments of feeds and answers terminals.')
  .version(version);
program.configureOutput({ writeErr: () => undefined }).exitOverride();
const command = (parent: Command, name: string, description: string) =>
  parent
    .command(name)
    .description(description)
    .requiredOption('--config <file>', 'relay.yaml')
    .option('--json', 'for machines')
    .configureOutput({ writeErr: () => undefined })
    .exitOverride();
command(program, 'serve', 'Run the relay.').action(serve);
const token = program.command('token').description('Keys of feeds, terminals and admins.').exitOverride();
command(token, 'add', 'Make a token and print it, once.')
  .requiredOption('--role <role>', 'feed, terminal or admin')
  .requiredOption('--feed <feed>', 'the feed that it is for')
  .requiredOption('--name <name>', 'who it is for, such as branch-7')
  .option('--set <name=value>', 'an attribute, such as branch=7', (pair: string, all: string[]) => [...all, pair], [])
  .action(addToken);
command(
  token,
  'set',
  'Give the holder of a token other attributes; what it then has too much or too little is brought by its next sync.',
)
  .requiredOption('--feed <feed>', 'of this feed')
  .requiredOption('--name <name>', 'whose')
  .option('--set <name=value>', 'an attribute, such as branch=7,8', (pair: string, all: string[]) => [...all, pair], [])
  .action(setToken);
command(token, 'list', 'Show who has a token.').action(listTokens);
command(token, 'revoke', 'End the token of a name.')
  .requiredOption('--name <name>', 'whose')
  .option('--feed <feed>', 'of this feed only')
  .action(revokeToken);

try {
  await program.parseAsync();
} catch (thrown) {
  const { line, exitCode } = endOf(thrown, process.argv.includes('--json'));
  if (line !== null) console.error(line);
  process.exitCode = exitCode;
}
