import { TidemarkError } from '@tidemark/protocol/errors';
import type pg from 'pg';
import { type PostgresTable, qualified } from './catalog.ts';
import { isRefusal } from './master-error.ts';
import { listOf } from './remedies.ts';
import { ident, literal, rows } from './sql.ts';

/**
 * Creates and repairs the publication. It must make the log contain every change to every row and column of the
 * published tables, and report changes of partitions as changes of their root table.
 */

/** The first server that can publish stored generated columns. */
export const PUBLISHES_GENERATED = 180_000;

/** The tables and options of a publication. */
export interface Publication {
  /** Whether the user owns it, itself or through a role. */
  owned: boolean;
  /** Whether it is FOR ALL TABLES, which has no list to alter. */
  everything: boolean;
  /** Whether it lists schemas. */
  schemas: boolean;
  /** Whether it publishes changes of every kind, partitions as their root, and stored generated columns. */
  options: boolean;
  /** By the OID of each listed table, whether it is published without a row filter or column list. */
  tables: Map<number, boolean>;
  /** Names of the listed tables in statements, by OID. */
  names: Map<number, string>;
}

/**
 * Reads the publication. Returns null if it does not exist. Reads pg_publication through to_jsonb, because older
 * servers do not have all of its columns.
 */
export async function readPublication(client: pg.Client, publication: string): Promise<Publication | null> {
  const [found] = await rows(
    client,
    `SELECT p.puballtables AS everything, pg_has_role(p.pubowner, 'USAGE') AS owned,
       EXISTS (SELECT FROM pg_depend d WHERE d.refclassid = 'pg_publication'::regclass AND d.refobjid = p.oid AND d.classid <> 'pg_publication_rel'::regclass) AS schemas,
       p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate AND p.pubviaroot AND coalesce(to_jsonb(p) ->> 'pubgencols', 's') = 's' AS options,
       (SELECT json_agg(json_build_array(r.prrelid::int8, coalesce(to_jsonb(r) ->> 'prqual', to_jsonb(r) ->> 'prattrs') IS NULL, format('ONLY %I.%I', n.nspname, c.relname)))
        FROM pg_publication_rel r JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE r.prpubid = p.oid) AS tables
     FROM pg_publication p WHERE p.pubname = ${literal(publication)}`,
  );
  if (!found) return null;
  const tables = JSON.parse(found.tables ?? '[]') as [oid: number, isComplete: boolean, name: string][];
  return {
    owned: found.owned === 't',
    everything: found.everything === 't',
    schemas: found.schemas === 't',
    options: found.options === 't',
    tables: new Map(tables.map(([oid, isComplete]) => [oid, isComplete])),
    names: new Map(tables.map(([oid, , name]) => [oid, name])),
  };
}

/**
 * Reports whether the publication publishes these tables completely and no other tables. If another user owns it, it may
 * contain other tables.
 */
export function publishes(present: Publication | null, tables: readonly PostgresTable[]): boolean {
  return statements('', present, tables, 0, false).length === 0;
}

/** The right to create and alter the publication. */
export interface PublicationRights {
  /** The user's name, quoted where SQL requires it. */
  user: string;
  isSuperuser: boolean;
  /** Whether the user may create objects in the database. */
  mayCreate: boolean;
  /** Name of the database. */
  database: string;
}

/**
 * Returns why the user cannot create or repair the publication for these tables, as a sentence that ends with the
 * statements to run. Returns null if the user can. It ignores tables that are only missing
 * from the publication, because table-problems.ts names each of them.
 */
export function publicationProblem(
  publication: string,
  present: Publication | null,
  tables: readonly PostgresTable[],
  version: number,
  { user, isSuperuser, mayCreate, database }: PublicationRights,
): string | null {
  if (isSuperuser || tables.length === 0) return null;
  const others = tables.filter(({ owned }) => !owned);
  if (present === null && others.length === 0)
    return mayCreate
      ? null
      : `The user ${user} is not allowed to create the publication ${publication}. Run: GRANT CREATE ON DATABASE ${ident(database)} TO ${user};`;
  const isWrong = present === null || present.everything || present.schemas || !present.options;
  const canRepair = present?.owned === true && !present.everything && (!present.schemas || others.length === 0);
  if (!isWrong || canRepair) return null;
  const sql = statements(ident(publication), present, tables, version, true).join(' ');
  const why = present === null ? 'does not exist' : 'does not publish these tables completely';
  const missing =
    present === null
      ? `The user ${user} needs CREATE on the database to create it, and does not own ${listOf(others.map(({ name }) => name))}`
      : `The user ${user} is not allowed to alter it`;
  return `The publication ${publication} ${why}. ${missing}. Make the user the owner of all published tables, or, as a superuser, run: ${sql} ALTER PUBLICATION ${ident(publication)} OWNER TO ${user};`;
}

/**
 * Creates or alters the publication so that it publishes these tables. Returns the OIDs of tables whose changes it may
 * have omitted so far. If another user owns the publication, its further tables stay in it. Throws source_not_ready with
 * the statements to run.
 */
export async function publish(
  client: pg.Client,
  publication: string,
  tables: readonly PostgresTable[],
  version: number,
): Promise<number[]> {
  const present = await readPublication(client, publication);
  const sql = statements(ident(publication), present, tables, version, false).join(' ');
  if (sql === '') return [];
  try {
    await client.query(sql);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    const [me] = await rows(client, 'SELECT quote_ident(current_user) AS name');
    const what = present ? 'does not publish these tables and cannot be altered' : 'cannot be created';
    const remedy = `The publication ${publication} ${what}: ${(error as Error).message}. The user ${me?.name} needs CREATE on the database and must own the publication and the tables. Or, as a superuser, run: ${sql} ALTER PUBLICATION ${ident(publication)} OWNER TO ${me?.name};`;
    throw new TidemarkError('source_not_ready', { detail: `- ${remedy}` }, error);
  }
  const before = present?.options && !present.everything ? present.tables : null;
  return tables.filter(({ id }) => before?.get(id) !== true).map(({ id }) => id);
}

/**
 * Returns the statements that make the publication publish `tables`; none if it does, or if there is nothing to publish.
 * They add and remove single tables, because a list of all tables requires the ownership of each. `asSuperuser`: a
 * superuser runs them.
 */
function statements(
  name: string,
  present: Publication | null,
  tables: readonly PostgresTable[],
  version: number,
  asSuperuser: boolean,
): string[] {
  // ONLY excludes tables that inherit from this one. Each published child table has its own entry.
  const only = (some: readonly PostgresTable[]) =>
    some
      .map((table) => `ONLY ${qualified(table)}`)
      .sort()
      .join(', ');
  const generated = version >= PUBLISHES_GENERATED ? ', publish_generated_columns = stored' : '';
  const options = `publish = 'insert, update, delete, truncate', publish_via_partition_root = true${generated}`;
  const create = `CREATE PUBLICATION ${name} FOR TABLE ${only(tables)} WITH (${options});`;
  if (present === null) return tables.length === 0 ? [] : [create];
  if (present.everything || (present.schemas && tables.length === 0))
    return [`DROP PUBLICATION ${name};`, ...(tables.length === 0 ? [] : [create])];
  const setOptions = present.options ? [] : [`ALTER PUBLICATION ${name} SET (${options});`];
  // SET TABLE also removes schemas.
  if (present.schemas) return [`ALTER PUBLICATION ${name} SET TABLE ${only(tables)};`, ...setOptions];
  const wanted = new Set(tables.map(({ id }) => id));
  const partial = tables.filter(({ id }) => present.tables.get(id) === false);
  const added = tables.filter(({ id }) => present.tables.get(id) !== true);
  const removed = [...present.tables].flatMap(([id]) => (wanted.has(id) ? [] : [present.names.get(id) ?? '']));
  const dropped = [
    ...partial.map((table) => `ONLY ${qualified(table)}`),
    ...(present.owned || asSuperuser ? removed : []),
  ];
  return [
    ...(dropped.length > 0 ? [`ALTER PUBLICATION ${name} DROP TABLE ${dropped.join(', ')};`] : []),
    ...(added.length > 0 ? [`ALTER PUBLICATION ${name} ADD TABLE ${only(added)};`] : []),
    ...setOptions,
  ];
}
