import type { SessionAnswer } from '@tidemark/protocol/api';
import type { LineWriter } from './batching/line-writer.ts';
import type { Outbox } from './batching/outbox.ts';
import type { DescribedTables, KnownTable, Log, Source, SourceTable, SourceTrouble, WantedTables } from './source.ts';
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
  /** The troubles at the beginning of the session. */
  unpublished: readonly SourceTrouble[];
  lines: LineWriter;
  outbox: Outbox;
  signal: AbortSignal;
  log: Log;
}

/** Chooses the tables to follow among those that the session has published. */
export function publishedOf(
  described: DescribedTables,
  { published, unpublished, choose }: Pick<Step, 'published' | 'unpublished' | 'choose'>,
): ChosenTables {
  const { tables, troubles, ignored } = choose(described);
  // A table that was in trouble when the session began is not published, so it stays in trouble until the next session.
  const later = unpublished.filter((trouble) => tables.some(({ id }) => id === trouble.id));
  return {
    tables: tables.filter(({ id }) => published.has(id)),
    troubles: [...troubles, ...later],
    ignored: new Set([...ignored, ...later.flatMap(({ id }) => (id === null ? [] : [id]))]),
  };
}

/** Returns the description to store for a table whose rows the relay holds. */
export function known({ id, schema, columnIds, version }: SourceTable): KnownTable {
  return { id, name: schema.name, columnIds, version };
}
