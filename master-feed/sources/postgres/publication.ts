import { TidemarkError } from '@tidemark/protocol/errors';
import type pg from 'pg';
import { type PostgresTable, qualified } from './catalog.ts';
import { ident, literal, rows } from './sql.ts';

/**
 * Creates and repairs the publication. It must make the log contain every change to every row and column of the
 * published tables, and report changes of partitions as changes of their root table.
 */

/** The first server that can publish stored generated columns. */
export const PUBLISHES_GENERATED = 180_000;

/** The tables and options of a publication. */
interface Publication {
  /** Whether it is FOR ALL TABLES, which has no list to alter. */
  everything: boolean;
  /** Whether it lists schemas. */
  schemas: boolean;
  /** Whether it publishes changes of every kind, partitions as their root, and stored generated columns. */
  options: boolean;
  /** By the OID of each listed table, whether it is published without a row filter or column list. */
  tables: Map<number, boolean>;
}

/**
 * Reads the publication. Returns null if it does not exist. Reads pg_publication through to_jsonb, because older
 * servers do not have all of its columns.
 */
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

/** Reports whether the publication publishes these tables completely and no other tables. */
export function publishes(present: Publication | null, tables: readonly PostgresTable[]): boolean {
  return present?.options === true && !present.everything && lists(present, tables);
}

function lists({ schemas, tables: listed }: Publication, tables: readonly PostgresTable[]): boolean {
  return !schemas && listed.size === tables.length && tables.every(({ id }) => listed.get(id) === true);
}

/**
 * Creates or alters the publication so that it publishes these tables. Returns the OIDs of tables whose changes it may
 * have omitted so far. Throws source_not_ready with the statements to run.
 */
export async function publish(
  client: pg.Client,
  publication: string,
  tables: readonly PostgresTable[],
  version: number,
): Promise<number[]> {
  const present = await readPublication(client, publication);
  if (publishes(present, tables)) return [];
  const sql = statements(ident(publication), present, tables, version).join(' ');
  try {
    await client.query(sql);
  } catch (error) {
    const [me] = await rows(client, 'SELECT quote_ident(current_user) AS name');
    const what = present ? 'does not publish these tables and cannot be altered' : 'cannot be created';
    const remedy = `The publication ${publication} ${what}: ${(error as Error).message}. The user ${me?.name} needs CREATE on the database and must own the publication and the tables. Or, as a superuser, run: ${sql} ALTER PUBLICATION ${ident(publication)} OWNER TO ${me?.name};`;
    throw new TidemarkError('source_not_ready', { detail: `- ${remedy}` }, error);
  }
  const before = present?.options && !present.everything ? present.tables : null;
  return tables.filter(({ id }) => before?.get(id) !== true).map(({ id }) => id);
}

/** Returns the statements that make the publication publish `tables`. */
function statements(
  name: string,
  present: Publication | null,
  tables: readonly PostgresTable[],
  version: number,
): string[] {
  // ONLY excludes tables that inherit from this one. Each published child table has its own entry.
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
