import type pg from 'pg';
import type { DescribedTables, SourceTrouble, WantedTables } from '../../source.ts';
import type { PostgresTable } from './catalog.ts';
import { notReplicated } from './not-replicated.ts';
import { checkMaster } from './prerequisites.ts';
import { type Names, remedyOf } from './remedies.ts';
import type { PlacedProblem } from './wanted-tables.ts';

/** Describes the master's tables for the feed: the published ones, the ones in trouble, and the relations left out. */

/** Describes the tables. Throws source_not_ready, as checkMaster does. */
export async function describeTables(
  client: pg.Client,
  wanted: WantedTables,
  publication: string,
): Promise<DescribedTables & { version: number; tables: PostgresTable[]; unpublished: ReadonlySet<number> }> {
  const { version, tables, all, problems, names } = await checkMaster(client, wanted, publication);
  const notes = await notReplicated(client, all, tables, wanted);
  return { version, tables, troubles: troublesOf(problems, names), notes, unpublished: withPartitions(all, tables) };
}

/** Returns the OIDs of the relations that are not in `tables`, and of their partitions. */
function withPartitions(all: readonly PostgresTable[], tables: readonly PostgresTable[]): ReadonlySet<number> {
  const published = new Set(tables.map(({ id }) => id));
  return new Set(
    all.filter(({ id }) => !published.has(id)).flatMap(({ id, leaves }) => [id, ...leaves.map(({ oid }) => oid)]),
  );
}

/** Combines the problems of each table to one trouble, which has the reason of the first. */
function troublesOf(problems: readonly PlacedProblem[], names: Names): SourceTrouble[] {
  return [...Map.groupBy(problems, ({ id, table }) => id ?? table).values()].flatMap((group) => {
    const [first] = group;
    if (!first) return [];
    const place = first.at === undefined ? '' : `${first.at}: `;
    const sentences = group.map(({ detail }) => `${detail}.`).join(' ');
    const todo = group.map((problem) => remedyOf(problem, names)).join(' ');
    return [{ id: first.id, table: first.table, reason: first.reason, detail: `${place}${sentences}`, todo }];
  });
}
