import { isIP } from 'node:net';
import { FeedName } from '@tidemark/protocol/api';
import { z } from 'zod';
import { operatorLike } from './operator-like.ts';

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

const PROXY = 'write an IP address or a network, such as 10.0.0.0/8';
const ProxyAddress = z.string(PROXY).refine((text) => {
  const [address = '', bits, ...more] = text.split('/');
  const family = isIP(address);
  const isPrefix = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
  return family !== 0 && isPrefix && more.length === 0;
}, PROXY);

/** Reports whether a value of `where` names an attribute, such as `$branch`. */
export function isAttribute(value: unknown): value is string {
  return typeof value === 'string' && /^\$[A-Za-z_]\w*$/.test(value);
}

/** Parses a constant to the text that filters compare, whatever the text is. Null means NULL. */
const Verbatim = z
  .union([z.string(), z.boolean(), z.null(), z.number()])
  .transform((value) => (value === null ? null : String(value)));

/** A constant that does not look like an operator. */
const Constant = Verbatim.refine(
  (value) => !value?.startsWith('$') || value.startsWith('$$') || isAttribute(value),
  'write the name of an attribute after $ (letters, digits and _), or $$ for a text that begins with $',
).superRefine((value, context) => {
  const mistake = value === null ? null : operatorLike(value);
  if (mistake !== null) context.addIssue({ code: 'custom', message: mistake });
});

const Values = z
  .array(
    Constant.refine(
      (value) => !isAttribute(value),
      'an attribute cannot be in a list: write it alone, because it may have several values',
    ),
  )
  .min(1, 'names no value');

/** Constants that are compared as written, even if they look like an operator or an attribute. */
const Equals = z.strictObject({
  equals: z
    .union([Verbatim, z.array(Verbatim).min(1, 'names no value')], 'write a value or a list of values')
    .describe(
      'A constant, or a list of constants, compared as written. Use it for a text that looks like an operator or that begins with `$`.',
    ),
});

const Columns = z
  .array(z.string().min(1))
  .min(1, 'names no column')
  .refine((names) => new Set(names).size === names.length, 'names a column twice');

const Table = z.strictObject({
  where: z
    .record(
      z.string().min(1),
      z.union([Constant, Values, Equals], 'write a value, a list of values, $attribute, or { equals: … }'),
    )
    .default({})
    .describe(
      'The rows that a terminal receives, as columns with the values that they must equal. A value is `$attribute`, a constant, or a list of constants. There are no operators. The relay refuses a text that looks like one, such as `>5`, `a*` or `7,8`. For that text itself, write `{ equals: ">5" }`. A row must meet all conditions. Without this key, every terminal receives every row.',
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

const Publish = z.strictObject({
  except: z
    .array(
      z
        .string()
        .min(1)
        .refine((name) => /[^*]/.test(name), 'leaves out every table'),
    )
    .min(1, 'names no table')
    .describe(
      'Names of the tables to leave out (`schema.table` outside `public`). `*` in a name matches any text: `archive.*` is the schema archive.',
    ),
});

const Feed = z.strictObject({
  publish: Publish.optional().describe(
    'With this setting, the feed publishes all tables except these, and `tables` only holds filters. Every name here and in `tables` must exist at the master; while one does not, the feed publishes no new table.',
  ),
  tables: z
    .record(
      z.string().min(1),
      Table.nullable().transform((table) => table ?? Table.parse({})),
    )
    .refine((tables) => Object.keys(tables).length > 0, 'names no table; leave it out for all tables')
    .optional()
    .describe(
      'The tables to publish, by name (`schema.table` outside `public`), with their filters. Without this setting, or with `publish`, the feed publishes all tables, and each needs a key or REPLICA IDENTITY FULL.',
    ),
  retention: Retention,
});

export const RelayYaml = z.strictObject({
  listen: Listen.prefault('127.0.0.1:4600').describe(
    'Address and port on which the relay accepts HTTP requests. The address is a host name or an IP address. Write an IPv6 address in brackets.',
  ),
  trustedProxies: z
    .array(ProxyAddress)
    .default(['127.0.0.0/8', '::1/128'])
    .describe(
      'Addresses and networks of the reverse proxies in front of the relay. The relay takes the address of a client from the header X-Forwarded-For only if one of them sent the request. It uses this address to count bad keys, and in its log.',
    ),
  metrics: Listen.optional().describe(
    'Address and port on which the relay serves `/metrics` without a key, and nothing else. Without this setting, metrics are served only at `listen`, and need the key of an administrator.',
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
