import { readFileSync } from 'node:fs';
import path from 'node:path';
import { FeedName } from '@tidemark/protocol/api.ts';
import { TidemarkError } from '@tidemark/protocol/errors.ts';
import { isNode, LineCounter, type Node, parseDocument } from 'yaml';
import { z } from 'zod';

const Listen = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$/, 'write it as address:port, such as 127.0.0.1:4600')
  .refine((text) => Number(text.slice(text.lastIndexOf(':') + 1)) <= 65_535, 'a port is at most 65535')
  .transform((text) => {
    const colon = text.lastIndexOf(':');
    return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) };
  });

const notYet = z.undefined({
  error: 'is not supported by this version: every terminal of a feed gets the whole table. Remove it',
});

const Table = z.strictObject({ where: notYet.optional(), columns: notYet.optional() });

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
    .record(z.string().min(1), Table.nullable())
    .refine((tables) => Object.keys(tables).length > 0, 'names no table; leave it out for all tables')
    .optional(),
  retention: Retention,
});

const Config = z.strictObject({
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
export type Config = z.infer<typeof Config>;

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
    const parsed = Config.safeParse(document.toJS() ?? {});
    if (parsed.success) return { ...parsed.data, data: path.resolve(path.dirname(file), parsed.data.data) };
    for (const issue of parsed.error.issues) mistakes.push(...explain(issue, (at) => lineOf(document, lines, at)));
  }
  throw new TidemarkError('config_invalid', { detail: `${file}: ${mistakes.join('; ')}` });
}

function explain(issue: z.core.$ZodIssue, lineAt: (path: PropertyKey[]) => number | null): string[] {
  const say = (at: PropertyKey[], message: string) => {
    const line = lineAt(at);
    return `${line === null ? '' : `line ${line}: `}${at.join('.') || 'the file'}: ${message}`;
  };
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
