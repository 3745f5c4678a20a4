import { TidemarkError } from '@tidemark/protocol/errors';
import type pg from 'pg';
import { qualified, type SourceTable } from './catalog.ts';
import { ident, literal, rows } from './connection.ts';

/** First server that can publish stored generated columns. */
export const PUBLISHES_GENERATED = 180_000;

/** What a publication publishes. */
export interface Publication {
  /** FOR ALL TABLES: it has no list that could be altered. */
  everything: boolean;
  /** Whether it holds whole schemas. */
  schemas: boolean;
  /** Whether it publishes changes of every kind, partitions as their root, and all columns that can be. */
  options: boolean;
  /** OIDs of its tables, and whether each is published whole: without WHERE, with all columns. */
  tables: Map<number, boolean>;
}

/** Null: there is none. Filters, schemas and generated columns came with later servers than the oldest that we take. */
export async function readPublication(client: pg.Client, publication: string): Promise<Publication | null> {
  const [found] = await rows(
    client,
    `SELECT p.puballtables AS everything,
       EXISTS (SELECT FROM pg_depend d WHERE d.refclassid = 'pg_publication'::regclass AND d.refobjid = p.oid AND d.classid <> 'pg_publication_rel'::regclass) AS schemas,
       p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate AND p.pubviaroot AND coalesce(to_jsonb(p) ->> 'pubgencols', 's') = 's' AS options,
       (SELECT json_agg(json_build_array(r.prrelid::int8, coalesce(to_jsonb(r) ->> 'prqual', to_jsonb(r) ->> 'prattrs') IS NULL))
        FROM pg_publication_rel r WHERE r.prpubid = p.oid) AS tables
     FROM pg_publication p WHERE p.pubname = ${literal(publication)}`,
  );
  if (!found) return null;
  return {
    everything: found.everything === 't',
    schemas: found.schemas === 't',
    options: found.options === 't',
    tables: new Map(JSON.parse(found.tables ?? '[]') as [number, boolean][]),
  };
}

/** Whether the publication publishes all of these tables and nothing else. */
export function publishes(present: Publication | null, tables: readonly SourceTable[]): boolean {
  return present?.options === true && !present.everything && lists(present, tables);
}

function lists({ schemas, tables: listed }: Publication, tables: readonly SourceTable[]): boolean {
  return !schemas && listed.size === tables.length && tables.every(({ oid }) => listed.get(oid) === true);
}

/** Brings the publication to the tables. The OIDs of those of which it may have left out something: that is in no log. */
export async function publish(
  client: pg.Client,
  publication: string,
  tables: readonly SourceTable[],
  version: number,
): Promise<number[]> {
  const present = await readPublication(client, publication);
  if (publishes(present, tables)) return [];
  const sql = statements(ident(publication), present, tables, version).join(' ');
  try {
    await client.query(sql);
  } catch (error) {
    const [me] = await rows(client, 'SELECT quote_ident(current_user) AS name');
    const what = present ? 'does not publish what it must and cannot be altered' : 'cannot be made';
    const remedy = `The publication ${publication} ${what}: ${(error as Error).message}. The user ${me?.name} needs CREATE on the database and must own the publication and the tables; or a superuser runs: ${sql} ALTER PUBLICATION ${ident(publication)} OWNER TO ${me?.name};`;
    throw new TidemarkError('source_not_ready', { detail: `- ${remedy}` }, error);
  }
  const whole = present?.options && !present.everything ? present.tables : null;
  return tables.filter(({ oid }) => whole?.get(oid) !== true).map(({ oid }) => oid);
}

/** What brings it there. */
function statements(
  name: string,
  present: Publication | null,
  tables: readonly SourceTable[],
  version: number,
): string[] {
  // ONLY: tables that inherit are listed themselves, or not wanted.
  const wanted = tables
    .map((table) => `ONLY ${qualified(table)}`)
    .sort()
    .join(', ');
  const generated = version >= PUBLISHES_GENERATED ? ', publish_generated_columns = stored' : '';
  const options = `publish = 'insert, update, delete, truncate', publish_via_partition_root = true${generated}`;
  const create = `CREATE PUBLICATION ${name} FOR TABLE ${wanted} WITH (${options});`;
  if (present === null) return [create];
  if (present.everything) return [`DROP PUBLICATION ${name};`, create];
  return [
    ...(lists(present, tables) ? [] : [`ALTER PUBLICATION ${name} SET TABLE ${wanted};`]),
    ...(present.options ? [] : [`ALTER PUBLICATION ${name} SET (${options});`]),
  ];
}
