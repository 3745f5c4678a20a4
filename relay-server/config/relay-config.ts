import { readFileSync } from 'node:fs';
import path from 'node:path';
import { TidemarkError } from '@tidemark/protocol/errors';
import { isNamed } from '@tidemark/protocol/table-names';
import type { z } from 'zod';
import type { Condition, Filters, TableFilter } from '../routing/filters.ts';
import { readYaml, type YamlText } from './config-yaml.ts';
import { isAttribute, RelayYaml } from './relay-yaml.ts';

/**
 * Reads relay.yaml into the configuration of a relay.
 *
 * Order: parse the YAML, reject constants whose text YAML would change, validate against the schema. It reports all
 * mistakes together, each with its line. Paths are relative to the file. It must not read any other file, and must not
 * set a default that the schema does not declare.
 */

type TableYaml = NonNullable<RelayYaml['feeds'][string]['tables']>[string];

/** Names in relay.yaml, each with its place in the file. */
type NamedTables = { name: string; at: string }[];

/** The tables that the feed publishes. */
export interface PublishConfig {
  /** Tables to publish. Null for all tables with a key. */
  publish: NamedTables | null;
  /** With `publish.except`: names of tables to leave out, in which `*` matches any text. Otherwise null. */
  except: NamedTables | null;
  /** With `publish.except`: the tables below `tables`. Otherwise empty. */
  filtered: NamedTables;
}

/** The configuration of one feed. */
export interface FeedConfig extends PublishConfig {
  filters: Filters;
  retention: RelayYaml['feeds'][string]['retention'];
}

export interface Config extends Omit<RelayYaml, 'feeds'> {
  feeds: Record<string, FeedConfig>;
  /** Path of the token file, in the folder of the config: `relay.tokens.json` for `relay.yaml`. */
  tokens: string;
  /** Places of fields that can turn out to be unusable only at start: `relay.yaml line 2: data`. */
  places: { listen: string; data: string; metrics: string };
}

/** Returns the place of a field, for messages: `relay.yaml line 9: feeds.shop`. */
type Place = (field: PropertyKey[]) => string;

/** Reads relay.yaml. Throws config_invalid, which lists every mistake with its line and field. */
export function readConfig(file: string): Config {
  const mistakes: string[] = [];
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new TidemarkError(
      'config_invalid',
      { detail: `${file} cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})` },
      error,
    );
  }
  const read = readYaml(text, mistakes);
  const place: Place = (field) => placeOf(read, field);
  mistakes.push(...(read?.unclear(isConstant, place) ?? []));
  const parsed = read && RelayYaml.safeParse(read.value ?? {});
  for (const issue of parsed?.error?.issues ?? []) mistakes.push(...explain(issue, place));
  if (parsed?.data) mistakes.push(...leftOutTables(parsed.data, place));
  if (mistakes.length === 0 && parsed?.data)
    return configOf(parsed.data, file, (field) => `${path.basename(file)} ${place(field)}`);
  throw new TidemarkError('config_invalid', { detail: `${file}: ${mistakes.join('; ')}` });
}

function placeOf(read: YamlText | null, field: PropertyKey[]): string {
  const line = read?.lineOf(field) ?? null;
  return `${line === null ? '' : `line ${line}: `}${field.join('.') || 'the file'}`;
}

/** Constants are at paths such as `feeds.shop.tables.stock.where.branch`, or `equals` below it. */
const isConstant = (field: string[]) =>
  (field.length === 6 || (field.length === 7 && field[6] === 'equals')) &&
  field[0] === 'feeds' &&
  field[2] === 'tables' &&
  field[4] === 'where';

function configOf(parsed: RelayYaml, file: string, place: Place): Config {
  const feeds = Object.entries(parsed.feeds).map(([name, { publish, tables, retention }]): [string, FeedConfig] => {
    const at = (...field: string[]) => place(['feeds', name, 'tables', ...field]);
    const named = tables ? Object.keys(tables).map((table) => ({ name: table, at: at(table) })) : null;
    const published: PublishConfig = publish
      ? {
          publish: null,
          except: publish.except.map((table, n) => ({
            name: table,
            at: place(['feeds', name, 'publish', 'except', String(n)]),
          })),
          filtered: named ?? [],
        }
      : { publish: named, except: null, filtered: [] };
    const filters = Object.entries(tables ?? {}).flatMap(([table, tableConfig]): [string, TableFilter][] =>
      Object.keys(tableConfig.where).length === 0 &&
      tableConfig.columns === undefined &&
      tableConfig.indexes.length === 0
        ? []
        : [[table, filterOf(tableConfig, (...field) => at(table, ...field))]],
    );
    return [name, { ...published, filters: Object.fromEntries(filters), retention }];
  });
  const { dir, name } = path.parse(path.resolve(file));
  return {
    ...parsed,
    data: path.resolve(dir, parsed.data),
    tokens: path.join(dir, `${name}.tokens.json`),
    places: { listen: place(['listen']), data: place(['data']), metrics: place(['metrics']) },
    feeds: Object.fromEntries(feeds),
  };
}

/** Returns a message for each table that has a filter and that `publish.except` leaves out. */
function leftOutTables({ feeds }: RelayYaml, place: Place): string[] {
  return Object.entries(feeds).flatMap(([feed, { publish, tables }]) =>
    Object.keys(tables ?? {}).flatMap((table) => {
      const left = publish?.except.find((name) => isNamed(table, name));
      return left === undefined
        ? []
        : [`${place(['feeds', feed, 'tables', table])}: publish.except leaves this table out (${left})`];
    }),
  );
}

function filterOf({ where, columns, indexes }: TableYaml, at: (...field: string[]) => string): TableFilter {
  return {
    where: Object.entries(where).map(([column, value]) => conditionOf(column, value, at('where', column))),
    columns: columns ? { names: columns, at: at('columns') } : null,
    indexes: indexes.map((names, n) => ({ names, at: at('indexes', String(n)) })),
  };
}

function conditionOf(column: string, value: TableYaml['where'][string], at: string): Condition {
  if (value !== null && typeof value === 'object' && !Array.isArray(value))
    return { column, at, values: [value.equals].flat() };
  if (isAttribute(value)) return { column, at, attribute: value.slice(1) };
  // In relay.yaml, `$$` at the start of a constant stands for one `$`.
  const constants: (string | null)[] = [value].flat();
  const values = constants.map((constant) => constant?.replace(/^\$\$/, '$') ?? null);
  return { column, at, values };
}

const WRITE: Record<string, string> = {
  object: 'write fields below it, each as name: value',
  record: 'write names below it, each as name: value',
  array: 'write a list, such as [a, b]',
  string: 'write a text',
  number: 'write a number',
};

const nameMessage = (issue?: z.core.$ZodIssue) =>
  issue?.code === 'invalid_format' ? issue.message : 'the name is empty';

function typeMessage({ message, expected }: z.core.$ZodIssueInvalidType): string {
  if (!message.startsWith('Invalid input')) return message;
  return `${message.endsWith('received undefined') ? 'is missing: ' : ''}${WRITE[expected] ?? message}`;
}

function explain(issue: z.core.$ZodIssue, place: Place): string[] {
  const say = (at: PropertyKey[], message: string) => `${place(at)}: ${message}`;
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => say([...issue.path, key], 'no such field'));
    case 'invalid_key':
      return [say(issue.path, nameMessage(issue.issues[0]))];
    case 'invalid_type':
      return [say(issue.path, typeMessage(issue))];
    case 'too_small':
    case 'too_big':
      return [say(issue.path, sizeOf(issue))];
    default:
      return [say(issue.path, issue.message)];
  }
}

function sizeOf(issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig): string {
  const own = issue.message.startsWith('Too ') ? null : issue.message;
  if (own !== null) return own;
  const characters = issue.origin === 'string' ? ' characters' : '';
  if (issue.code === 'too_big') return `at most ${issue.maximum}${characters}`;
  if (issue.origin === 'string') return 'is empty';
  return `${issue.inclusive ? 'at least' : 'more than'} ${issue.minimum}`;
}
