import { TidemarkError } from '@tidemark/protocol/errors.ts';
import type pg from 'pg';
import { qualified, type SourceTable } from './catalog.ts';
import { ident, literal, rows } from './connection.ts';

/** First server that can publish stored generated columns. */
export const PUBLISHES_GENERATED = 180_000;

/** OIDs of the publication's tables; null: there is none. */
export async function readPublished(client: pg.Client, publication: string): Promise<Set<number> | null> {
  const found = await rows(
    client,
    `SELECT r.prrelid AS oid FROM pg_publication p LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid WHERE p.pubname = ${literal(publication)}`,
  );
  return found.length === 0 ? null : new Set(found.flatMap(({ oid }) => (oid === null ? [] : [Number(oid)])));
}

/** Whether the publication holds these tables and no others. */
export function publishes(present: Set<number> | null, tables: readonly SourceTable[]): boolean {
  return present?.size === tables.length && tables.every(({ oid }) => present.has(oid));
}

/** Brings the publication to the tables. The OIDs of those that were not in it: what they held before is in no log. */
export async function publish(
  client: pg.Client,
  publication: string,
  tables: readonly SourceTable[],
  version: number,
): Promise<number[]> {
  const name = ident(publication);
  const present = await readPublished(client, publication);
  if (publishes(present, tables)) return [];
  // ONLY: tables that inherit are listed themselves, or not wanted.
  const wanted = tables.map((table) => `ONLY ${qualified(table)}`).sort();
  const options =
    version >= PUBLISHES_GENERATED
      ? 'publish_via_partition_root = true, publish_generated_columns = stored'
      : 'publish_via_partition_root = true';
  try {
    if (present) await client.query(`ALTER PUBLICATION ${name} SET TABLE ${wanted.join(', ')}`);
    else await client.query(`CREATE PUBLICATION ${name} FOR TABLE ${wanted.join(', ')} WITH (${options})`);
  } catch (error) {
    const remedy = `The publication ${publication} cannot be made: ${(error as Error).message}. The user needs CREATE on the database and must own the tables; or an owner runs: CREATE PUBLICATION ${name} FOR TABLE ${wanted.join(', ')} WITH (${options});`;
    throw new TidemarkError('source_not_ready', { detail: `- ${remedy}` }, error);
  }
  return tables.filter(({ oid }) => !present?.has(oid)).map(({ oid }) => oid);
}
