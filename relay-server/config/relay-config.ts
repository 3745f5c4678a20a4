import { readFileSync } from 'node:fs';
import path from 'node:path';
import { FeedName } from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import { z } from 'zod';
import type { Condition, Filters, TableFilter } from '../routing/filters.ts';
import { readYaml, type YamlText } from './config-yaml.ts';

const ADDRESS = 'write it as address:port, such as 127.0.0.1:4600';
const Listen = z
  .string(ADDRESS)
  .regex(/^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$/, ADDRESS)
  .refine((text) => Number(text.slice(text.lastIndexOf(':') + 1)) <= 65_535, 'a port is at most 65535')
  .transform((text) => {
    const colon = text.lastIndexOf(':');
    return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) };
  });

/** A constant as text, as filters compare it. */
const Constant = z
  .union([z.string(), z.boolean(), z.null(), z.number()])
  .transform((value) => (value === null ? null : String(value)))
  .refine(
    (value) => !value?.startsWith('$') || value.startsWith('$$') || isAttribute(value),
    'after $ stands the name of an attribute (letters, digits and _); a text that begins with $ is written with two',
  );

const Values = z
  .array(
    Constant.refine(
      (value) => !isAttribute(value),
      'an attribute stands alone, not in a list: it may hold several values',
    ),
  )
  .min(1, 'names no value');

const Columns = z
  .array(z.string().min(1))
  .min(1, 'names no column')
  .refine((names) => new Set(names).size === names.length, 'names a column twice');

const Table = z.strictObject({
  /** Columns with what they must equal: `$attribute` of the terminal, a constant, or a list of constants. */
  where: z
    .record(z.string().min(1), z.union([Constant, Values], 'write a value, a list of values, or $attribute'))
    .default({}),
  /** Columns that terminals get; left out: all. */
  columns: Columns.optional(),
  /** Further indexes at terminals, each by its columns. */
  indexes: z.array(Columns).default([]),
});

const Retention = z
  .strictObject({
    /** Increments are kept this many days. */
    days: z.number().positive().max(36_500).default(30),
    /** And not more of them than this, as they are sent, uncompressed. */
    megabytes: z.number().positive().nullable().default(null),
  })
  .default({ days: 30, megabytes: null });

const Feed = z.strictObject({
  /** Tables to publish; left out: all that have a key. */
  tables: z
    .record(
      z.string().min(1),
      Table.nullable().transform((table) => table ?? Table.parse({})),
    )
    .refine((tables) => Object.keys(tables).length > 0, 'names no table; leave it out for all tables')
    .optional(),
  retention: Retention,
});

const File = z.strictObject({
  listen: Listen.default({ host: '127.0.0.1', port: 4600 }),
  /** Folder of all that the relay keeps; relative to the config file. */
  data: z.string().min(1),
  /** What people see as the relay's name. */
  name: z.string().min(1).max(60).default('Tidemark relay'),
  feeds: z
    .record(
      FeedName,
      Feed.nullable().transform((feed) => feed ?? Feed.parse({})),
    )
    .refine((feeds) => Object.keys(feeds).length > 0, 'name at least one feed'),
});

/** A feed of relay.yaml. */
export interface FeedConfig {
  /** Tables by name, and where the file names them; null: all that have a key. */
  publish: { name: string; at: string }[] | null;
  filters: Filters;
  retention: z.infer<typeof Retention>;
}

export interface Config extends Omit<z.infer<typeof File>, 'feeds'> {
  feeds: Record<string, FeedConfig>;
  /** The file that says who may ask: beside the config, `relay.tokens.json` for `relay.yaml`. */
  tokens: string;
  /** Where fields stand, for what is found of them later: `relay.yaml line 2: data`. */
  places: { listen: string; data: string };
}

/** Says where a field stands: `relay.yaml line 9: feeds.shop`. */
type Place = (field: PropertyKey[]) => string;

/** Reads relay.yaml. Throws config_invalid that names every mistake with its line and field. */
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
  const parsed = read && File.safeParse(read.value ?? {});
  for (const issue of parsed?.error?.issues ?? []) mistakes.push(...explain(issue, place));
  if (mistakes.length === 0 && parsed?.data)
    return configOf(parsed.data, file, (field) => `${path.basename(file)} ${place(field)}`);
  throw new TidemarkError('config_invalid', { detail: `${file}: ${mistakes.join('; ')}` });
}

function placeOf(read: YamlText | null, field: PropertyKey[]): string {
  const line = read?.lineOf(field) ?? null;
  return `${line === null ? '' : `line ${line}: `}${field.join('.') || 'the file'}`;
}

/** `feeds.shop.tables.stock.where.branch`. */
const isConstant = (field: string[]) =>
  field.length === 6 && field[0] === 'feeds' && field[2] === 'tables' && field[4] === 'where';

function configOf(parsed: z.infer<typeof File>, file: string, place: Place): Config {
  const feeds = Object.entries(parsed.feeds).map(([name, { tables, retention }]): [string, FeedConfig] => {
    const at = (...field: string[]) => place(['feeds', name, 'tables', ...field]);
    const publish = tables ? Object.keys(tables).map((table) => ({ name: table, at: at(table) })) : null;
    const filters = Object.entries(tables ?? {}).flatMap(([table, said]): [string, TableFilter][] =>
      Object.keys(said.where).length === 0 && said.columns === undefined && said.indexes.length === 0
        ? []
        : [[table, filterOf(said, (...field) => at(table, ...field))]],
    );
    return [name, { publish, filters: Object.fromEntries(filters), retention }];
  });
  const { dir, name } = path.parse(path.resolve(file));
  return {
    ...parsed,
    data: path.resolve(dir, parsed.data),
    tokens: path.join(dir, `${name}.tokens.json`),
    places: { listen: place(['listen']), data: place(['data']) },
    feeds: Object.fromEntries(feeds),
  };
}

function filterOf({ where, columns, indexes }: z.infer<typeof Table>, at: (...field: string[]) => string): TableFilter {
  return {
    where: Object.entries(where).map(([column, value]) => conditionOf(column, value, at('where', column))),
    columns: columns ? { names: columns, at: at('columns') } : null,
    indexes: indexes.map((names, n) => ({ names, at: at('indexes', String(n)) })),
  };
}

function conditionOf(column: string, value: string | null | (string | null)[], at: string): Condition {
  if (isAttribute(value)) return { column, at, attribute: value.slice(1) };
  // A value that begins with $ is written with two.
  const values = (Array.isArray(value) ? value : [value]).map((each) => each?.replace(/^\$\$/, '$') ?? null);
  return { column, at, values };
}

function isAttribute(value: unknown): value is string {
  return typeof value === 'string' && /^\$[A-Za-z_]\w*$/.test(value);
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
