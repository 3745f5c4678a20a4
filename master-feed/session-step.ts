import type { SessionAnswer } from '@tidemark/protocol/api';
import type { LineWriter } from './batching/line-writer.ts';
import type { Outbox } from './batching/outbox.ts';
import type { DescribedTables, KnownTable, Log, Source, SourceTable, WantedTables } from './source.ts';
import type { ChosenTables } from './troubles/table-troubles.ts';

/** The context that the steps of a session (base copy, re-read, streaming) share. */
export interface Step {
  source: Source;
  session: SessionAnswer;
  wanted: WantedTables;
  /** Separates the tables to follow from those in trouble. */
  choose: (described: DescribedTables) => ChosenTables;
  /** Ids of the tables that this session published. Tables created later wait for the next session. */
  published: ReadonlySet<number>;
  lines: LineWriter;
  outbox: Outbox;
  signal: AbortSignal;
  log: Log;
}

/** Chooses the tables to follow among those that the session has published. */
export function publishedOf(
  described: DescribedTables,
  { published, choose }: Pick<Step, 'published' | 'choose'>,
): ChosenTables {
  const { tables, ...others } = choose(described);
  return { ...others, tables: tables.filter(({ id }) => published.has(id)) };
}

/** Returns the description to store for a table whose rows the relay holds. */
export function known({ id, schema, columnIds, version }: SourceTable): KnownTable {
  return { id, name: schema.name, columnIds, version };
}
