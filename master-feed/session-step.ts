import type { SessionAnswer } from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { LineWriter } from './batching/line-writer.ts';
import type { Outbox } from './batching/outbox.ts';
import type { DescribedTables, KnownTable, Log, Source, SourceTable, SourceTrouble, WantedTables } from './source.ts';

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

/** Returns the described tables that the session has published. Throws source_not_ready, as {@link refuseHeld} does. */
export function publishedOf(
  described: DescribedTables,
  { published, wanted }: Pick<Step, 'published' | 'wanted'>,
): SourceTable[] {
  refuseHeld(described, wanted);
  return described.tables.filter(({ id }) => published.has(id));
}

/** Throws source_not_ready if a table that the relay holds cannot be published. */
export function refuseHeld({ troubles }: DescribedTables, { held }: WantedTables): void {
  const lines = troubles.filter(({ table }) => held.has(table)).map(lineOf);
  if (lines.length > 0)
    throw new TidemarkError('source_not_ready', { detail: lines.map((line) => `- ${line}`).join('\n') });
}

/** Logs the tables that cannot be published. */
export function logTroubles({ troubles }: DescribedTables, log: Log): void {
  if (troubles.length > 0) log('not-ready', { detail: troubles.map(lineOf).join('\n') });
}

const lineOf = ({ detail, todo }: SourceTrouble) => (todo === '' ? detail : `${detail} ${todo}`);

/** Returns the description to store for a table whose rows the relay holds. */
export function known({ id, schema, columnIds, version }: SourceTable): KnownTable {
  return { id, name: schema.name, columnIds, version };
}
