import type { SessionAnswer } from '@tidemark/protocol/api';
import type { LineWriter } from './batching/line-writer.ts';
import type { Outbox } from './batching/outbox.ts';
import type { DescribedTables, KnownTable, Log, Source, SourceTable, WantedTables } from './source.ts';

/** The context that the steps of a session (base copy, re-read, streaming) share. */
export interface Step {
  source: Source;
  session: SessionAnswer;
  wanted: WantedTables;
  /** Ids of the tables that this session published. Tables created later wait for the next session. */
  published: ReadonlySet<number>;
  lines: LineWriter;
  outbox: Outbox;
  signal: AbortSignal;
  log: Log;
}

/** Returns the described tables that the session has published. */
export function publishedOf({ tables }: DescribedTables, published: ReadonlySet<number>): SourceTable[] {
  return tables.filter(({ id }) => published.has(id));
}

/** Returns the description to store for a table whose rows the relay holds. */
export function known({ id, schema, columnIds, version }: SourceTable): KnownTable {
  return { id, name: schema.name, columnIds, version };
}
