import { readFileSync } from 'node:fs';
import path from 'node:path';
import { FeedName } from '@tidemark/protocol/api.ts';
import { TidemarkError } from '@tidemark/protocol/errors.ts';
import { isNode, LineCounter, type Node, parseDocument } from 'yaml';
import { z } from 'zod';
import type { Condition, Filters, TableFilter } from './scopes/filters.ts';

const Listen = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$/, 'write it as address:port, such as 127.0.0.1:4600')
  .refine((text) => Number(text.slice(text.lastIndexOf(':') + 1)) <= 65_535, 'a port is at most 65535')
  .transform((text) => {
    const colon = text.lastIndexOf(':');
    return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) };
  });

/** A constant as text, as filters compare it. */
const Constant = z
  .union([
    z.string(),
    z.boolean(),
    z.null(),
    z.number().refine((value) => !Number.isInteger(value) || Number.isSafeInteger(value), 'write it in quotes'),
  ])
  .transform((value) => (value === null ? null : String(value)));

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
    .record(
      z.string().min(1),
      z.union(
        [Constant, Values],
        'write a value, a list of values, or $attribute; a number of more than 15 digits in quotes',
      ),
    )
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
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true });
  for (const error of document.errors)
    mistakes.push(`line ${lines.linePos(error.pos[0]).line}: ${error.message.split('\n')[0]}`);
  if (mistakes.length === 0) {
    const parsed = File.safeParse(document.toJS() ?? {});
    const place: Place = (field) => {
      const line = lineOf(document, lines, field);
      return `${line === null ? '' : `line ${line}: `}${field.join('.') || 'the file'}`;
    };
    if (parsed.success) return configOf(parsed.data, file, (field) => `${path.basename(file)} ${place(field)}`);
    for (const issue of parsed.error.issues) mistakes.push(...explain(issue, place));
  }
  throw new TidemarkError('config_invalid', { detail: `${file}: ${mistakes.join('; ')}` });
}

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

function explain(issue: z.core.$ZodIssue, place: Place): string[] {
  const say = (at: PropertyKey[], message: string) => `${place(at)}: ${message}`;
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => say([...issue.path, key], 'no such field'));
  if (issue.code === 'invalid_key') return [say(issue.path, issue.issues[0]?.message ?? issue.message)];
  return [say(issue.path, issue.message)];
}

function lineOf(document: ReturnType<typeof parseDocument>, lines: LineCounter, at: PropertyKey[]): number | null {
  for (let length = at.length; length > 0; length--) {
    const node = document.getIn(at.slice(0, length), true) as Node | undefined;
    if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
  }
  return null;
}
