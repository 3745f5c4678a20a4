import { FeedName } from '@tidemark/protocol/api';
import { z } from 'zod';

/**
 * Defines the schema of relay.yaml: each key with its type, limits, default and description.
 *
 * It is the only place that defines a key. `npm run docs` generates docs/reference/relay-yaml.md from it, so every key
 * must have a description. Each message must complete the text "relay.yaml: line 9: feeds.shop: …".
 */

const ADDRESS = 'write it as address:port, such as 127.0.0.1:4600';
const Listen = z
  .string(ADDRESS)
  .regex(/^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$/, ADDRESS)
  .refine((text) => Number(text.slice(text.lastIndexOf(':') + 1)) <= 65_535, 'a port is at most 65535')
  .transform((text) => {
    const colon = text.lastIndexOf(':');
    return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) };
  });

/** Reports whether a value of `where` names an attribute, such as `$branch`. */
export function isAttribute(value: unknown): value is string {
  return typeof value === 'string' && /^\$[A-Za-z_]\w*$/.test(value);
}

/** Parses a constant to the text that filters compare. Null stands for NULL. */
const Constant = z
  .union([z.string(), z.boolean(), z.null(), z.number()])
  .transform((value) => (value === null ? null : String(value)))
  .refine(
    (value) => !value?.startsWith('$') || value.startsWith('$$') || isAttribute(value),
    'write the name of an attribute after $ (letters, digits and _), or $$ for a text that begins with $',
  );

const Values = z
  .array(
    Constant.refine(
      (value) => !isAttribute(value),
      'an attribute cannot be in a list: write it alone, because it may have several values',
    ),
  )
  .min(1, 'names no value');

const Columns = z
  .array(z.string().min(1))
  .min(1, 'names no column')
  .refine((names) => new Set(names).size === names.length, 'names a column twice');

const Table = z.strictObject({
  where: z
    .record(z.string().min(1), z.union([Constant, Values], 'write a value, a list of values, or $attribute'))
    .default({})
    .describe(
      'The rows that a terminal receives, as columns with the values that they must equal. A value is `$attribute`, a constant, or a list of constants. A row must meet all conditions. Without this key, every terminal receives every row.',
    ),
  columns: Columns.optional().describe(
    'The columns that terminals receive. They must include the key columns. Without this key, terminals receive all columns.',
  ),
  indexes: z
    .array(Columns)
    .default([])
    .describe('Additional indexes on the table at terminals. Each is a list of columns.'),
});

const Retention = z
  .strictObject({
    days: z
      .number()
      .positive()
      .max(36_500)
      .default(30)
      .describe('The relay drops increments older than this number of days.'),
    megabytes: z
      .number()
      .positive()
      .nullable()
      .default(null)
      .describe(
        'The relay drops the oldest increments while the log is larger than this, in 10⁶ bytes before compression. `null` sets no limit.',
      ),
  })
  .default({ days: 30, megabytes: null })
  .describe('The limits up to which the relay keeps increments. A terminal that is further behind needs a fresh copy.');

const Feed = z.strictObject({
  tables: z
    .record(
      z.string().min(1),
      Table.nullable().transform((table) => table ?? Table.parse({})),
    )
    .refine((tables) => Object.keys(tables).length > 0, 'names no table; leave it out for all tables')
    .optional()
    .describe(
      'The tables to publish, by name (`schema.table` outside `public`), with their filters. Without this setting, the feed publishes all tables, and each needs a key or REPLICA IDENTITY FULL.',
    ),
  retention: Retention,
});

export const RelayYaml = z.strictObject({
  listen: Listen.prefault('127.0.0.1:4600').describe(
    'Address and port on which the relay accepts HTTP requests. The address is a host name or an IP address. Write an IPv6 address in brackets.',
  ),
  data: z.string().min(1).describe('Folder in which the relay stores its data, relative to relay.yaml.'),
  name: z.string().min(1).max(60).default('Tidemark relay').describe('The display name of the relay in the app.'),
  feeds: z
    .record(
      FeedName,
      Feed.nullable().transform((feed) => feed ?? Feed.parse({})),
    )
    .refine((feeds) => Object.keys(feeds).length > 0, 'name at least one feed')
    .describe('The feeds that the relay keeps, by name.'),
});
export type RelayYaml = z.infer<typeof RelayYaml>;
