import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { quoted, visible } from '@tidemark/command-line/visible';
import { Role } from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { Command } from 'commander';
import { command } from '../config/config-command.ts';
import { type Config, readConfig } from '../config/relay-config.ts';
import { shortDecimal } from '../routing/constants.ts';
import { namedAttributes, valuesOf } from '../routing/filters.ts';
import { attributesOf, checkCombinations, checkName } from './attribute-options.ts';
import { type Bearer, Tokens } from './tokens.ts';

/**
 * `tidemark-relay token add`, `set`, `list` and `revoke`. They edit the token file, whether or not the relay runs, and
 * warn if a terminal's attributes do not match the filters of its feed. Only `add` may print a token.
 */

interface TokenOptions {
  config: string;
  role: string;
  feed?: string;
  name: string;
  set: string[];
  setText: string[];
  unset: string[];
  /** Option of `add`: the file to which to write the token. */
  out?: string;
  json?: boolean;
}

/** Runs `work` on the tokens of a config, and closes them. Throws config_invalid. */
function withTokens<T>(file: string, work: (tokens: Tokens, config: Config) => T): T {
  const config = readConfig(file);
  const tokens = new Tokens(config);
  try {
    return work(tokens, config);
  } finally {
    tokens.close();
  }
}

/**
 * Warns on stderr of attributes that the feed's filters need but the terminal does not have, and of numbers such as
 * `7.0`, which no decimal column matches.
 */
function warn(
  { name, feed = '', json }: TokenOptions,
  { feeds }: Config,
  { role, attributes }: Pick<Bearer, 'role' | 'attributes'>,
): void {
  if (role !== 'terminal') return;
  const warnings = [...namedAttributes(feeds[feed]?.filters ?? {})].flatMap(([attribute, at]) =>
    Object.hasOwn(attributes, attribute)
      ? valuesOf(attributes, attribute).flatMap((value) => {
          const short = shortDecimal(value) ?? value;
          return short === value
            ? []
            : [`${attribute}=${value} is compared as a text: for a column of decimals write ${short}`];
        })
      : [
          `${visible(name)} has no attribute ${attribute}, which ${at} asks for: it gets no rows there. Give it with token set --set ${attribute}=…`,
        ],
  );
  for (const warning of warnings) console.error(json ? JSON.stringify({ warning }) : `warning: ${warning}`);
}

/** `token set`. Prints the new attributes. */
function setToken(options: TokenOptions): void {
  const { config: file, name, feed = '', json } = options;
  const set = attributesOf(options.set, options.setText);
  const both = options.unset.find((attribute) => Object.hasOwn(set, attribute));
  if (both !== undefined) throw new TidemarkError('usage', { detail: `--unset: ${both} is also set` });
  if (options.set.length + options.setText.length + options.unset.length === 0)
    throw new TidemarkError('usage', { detail: '--set, --set-text or --unset must name an attribute to change' });
  const attributes = withTokens(file, (tokens, config) => {
    const changed = tokens.set(name, feed, { set, unset: options.unset }, (next) =>
      checkCombinations(config.feeds[feed]?.filters ?? {}, next),
    );
    if (!changed)
      throw new TidemarkError('usage', {
        detail: `--name: there is no token named ${quoted(name)} for ${quoted(feed)}`,
      });
    warn(options, config, changed);
    return changed.attributes;
  });
  const shown = JSON.stringify(json ? { name, feed, attributes } : attributes);
  console.log(visible(json ? shown : `${name} now has ${shown}.`));
}

/** `token add`. Prints the token, which cannot be shown again, or writes it to a file that only its owner can read. */
function addToken(options: TokenOptions): void {
  const role = Role.safeParse(options.role);
  if (!role.success)
    throw new TidemarkError('usage', { detail: `--role: ${quoted(options.role)} is none of feed, terminal, admin` });
  checkName(options.name);
  const attributes = attributesOf(options.set, options.setText);
  const { out } = options;
  const add = () => addedToken(options, role.data, attributes);
  const token = out === undefined ? add() : writtenTo(out, add);
  const added = { name: options.name, role: role.data, feed: options.feed, attributes };
  if (options.json) console.log(visible(JSON.stringify(out === undefined ? { token, ...added } : { out, ...added })));
  else console.log(out === undefined ? token : visible(`Wrote the key of ${options.name} to ${out}.`));
}

function addedToken(options: TokenOptions, role: Role, attributes: Record<string, string>): string {
  return withTokens(options.config, (tokens, config) => {
    const feeds = Object.keys(config.feeds);
    const feed = options.feed ?? '';
    if (!feeds.includes(feed))
      throw new TidemarkError('usage', {
        detail: `--feed: ${quoted(feed)} is not a feed of the config (${feeds.join(', ')})`,
      });
    if (role === 'terminal') checkCombinations(config.feeds[feed]?.filters ?? {}, attributes);
    const added = tokens.add({ name: options.name, role, feed, attributes }, new Date());
    warn(options, config, { role, attributes });
    return added;
  });
}

/**
 * Creates the file before the token, so that no token is lost if the file cannot be created. Returns the token. Throws
 * usage if the file exists or cannot be created.
 */
function writtenTo(file: string, add: () => string): string {
  let handle: number;
  try {
    handle = openSync(file, 'wx', 0o600);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new TidemarkError('usage', {
      detail: `--out: ${visible(file)}: ${code === 'EEXIST' ? 'it exists already' : message}`,
    });
  }
  try {
    const token = add();
    writeSync(handle, `${token}\n`);
    fsyncSync(handle);
    return token;
  } catch (error) {
    rmSync(file, { force: true });
    throw error;
  } finally {
    closeSync(handle);
  }
}

/** `token list`. Prints a table, or JSON with `--json`. */
function listTokens({ config, json }: TokenOptions): void {
  const list = withTokens(config, (tokens) => tokens.list());
  if (json) console.log(visible(JSON.stringify(list)));
  else if (list.length === 0) console.error('No tokens yet.');
  else
    console.table(
      list.map(({ attributes, ...row }) => ({
        ...row,
        name: visible(row.name),
        feed: visible(row.feed),
        attributes: visible(
          Object.entries(attributes)
            .map(([key, value]) => `${key}=${value}`)
            .join(' '),
        ),
      })),
    );
}

/** `token revoke`. Running relays reject the token from its next request on. */
function revokeToken({ config, name, feed, json }: TokenOptions): void {
  const revoked = withTokens(config, (tokens) => tokens.revoke(name, feed));
  if (revoked === 0) throw new TidemarkError('usage', { detail: `--name: there is no token named ${quoted(name)}` });
  console.log(json ? JSON.stringify({ revoked }) : `Revoked ${revoked}.`);
}

const SET_TEXT =
  'attribute with one value that --set refuses because it looks like an operator, such as kind=!x; may be repeated';

const repeatable = (value: string, all: string[]): string[] => [...all, value];

export function addTokenCommands(program: Command): void {
  const token = program
    .command('token')
    .description('Manage the keys of feeds, terminals and administrators.')
    .exitOverride();
  command(token, 'add', 'Create a key and print it, or write it to a file. The relay cannot show it again.')
    .requiredOption('--role <role>', 'feed, terminal or admin')
    .requiredOption('--feed <feed>', 'feed that the key is for')
    .requiredOption('--name <name>', 'name of the holder, such as branch-7')
    .option('--out <file>', 'new file to write the key to, readable by its owner only; the key is not printed')
    .option(
      '--set <name=value>',
      'attribute of the terminal, such as branch=7 or branch=7,8; may be repeated',
      repeatable,
      [],
    )
    .option('--set-text <name=value>', SET_TEXT, repeatable, [])
    .action(addToken);
  command(token, 'set', 'Change attributes of a terminal and keep the others. The next sync fetches the difference.')
    .requiredOption('--feed <feed>', 'feed of the key')
    .requiredOption('--name <name>', 'name of the holder')
    .option('--set <name=value>', 'attribute to change, such as branch=7,8; may be repeated', repeatable, [])
    .option('--set-text <name=value>', SET_TEXT, repeatable, [])
    .option('--unset <attribute>', 'attribute to remove; may be repeated', repeatable, [])
    .action(setToken);
  command(token, 'list', 'List the keys with their names, roles, attributes and times of last use.').action(listTokens);
  command(token, 'revoke', 'Revoke all keys with this name immediately.')
    .requiredOption('--name <name>', 'name of the holder')
    .option('--feed <feed>', 'revoke only the key for this feed')
    .action(revokeToken);
}
