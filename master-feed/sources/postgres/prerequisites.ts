import { TidemarkError } from '@tidemark/protocol/errors';
import { TableSchema } from '@tidemark/protocol/schema';
import type pg from 'pg';
import type { WantedTables } from '../../source.ts';
import { type Leaf, leavesWithoutKey, type PostgresTable, qualified, readTables } from './catalog.ts';
import { PUBLISHES_GENERATED } from './publication.ts';
import { rows } from './sql.ts';

/**
 * Checks the feed's prerequisites at the master: server settings, the user's rights, and a key for each published
 * table. It reports all missing prerequisites at once, each with the statement that provides it, so that a database
 * administrator can fix them in one step.
 */

/** The oldest server version that the feed supports, as server_version_num. */
const OLDEST = 130_000;
const KINDS: Record<string, string> = { v: 'a view', m: 'a materialized view', f: 'a foreign table', S: 'a sequence' };

export interface Checked {
  /** The server version as server_version_num. */
  version: number;
  tables: PostgresTable[];
  /** One sentence for each table that is left out, with its remedy. */
  leftOut: string[];
}

/** Returns the identity of the master: its cluster and database. */
export async function identify(client: pg.Client): Promise<string> {
  const [row] = await rows(
    client,
    'SELECT (SELECT system_identifier FROM pg_control_system()) AS system, current_database() AS database',
  );
  return `${row?.system}/${row?.database}`;
}

/** Checks all prerequisites and describes the tables to publish. Throws source_not_ready. */
export async function checkMaster(client: pg.Client, wanted: WantedTables, publication: string): Promise<Checked> {
  const [server] = await rows(
    client,
    `SELECT current_setting('server_version_num') AS version, current_setting('wal_level') AS wal_level, quote_ident(current_user) AS "user",
       (SELECT rolsuper OR rolreplication FROM pg_roles WHERE rolname = current_user) AS replication,
       current_setting('max_replication_slots')::int AS slots, current_setting('max_wal_senders')::int AS senders, pg_is_in_recovery() AS standby,
       getdatabaseencoding() AS encoding`,
  );
  if (!server) throw new TidemarkError('source_unreachable', { detail: 'the server did not report its settings' });
  const version = Number(server.version);
  const problems: string[] = [];
  if (version < OLDEST) problems.push(`Postgres ${Math.floor(version / 10_000)} is too old. Use 13 or newer.`);
  if (server.wal_level !== 'logical')
    problems.push(`wal_level is ${server.wal_level}. Run: ALTER SYSTEM SET wal_level = logical; and restart Postgres.`);
  if (server.replication !== 't')
    problems.push(
      `The user ${server.user} does not have the REPLICATION attribute. Run: ALTER ROLE ${server.user} REPLICATION;`,
    );
  if (Number(server.slots) === 0)
    problems.push(
      'max_replication_slots is 0. Run: ALTER SYSTEM SET max_replication_slots = 10; and restart Postgres.',
    );
  if (Number(server.senders) === 0)
    problems.push('max_wal_senders is 0. Run: ALTER SYSTEM SET max_wal_senders = 10; and restart Postgres.');
  if (server.standby === 't') problems.push('This server is a standby. Connect to the primary.');
  if (server.encoding === 'SQL_ASCII')
    problems.push(
      'The database has the encoding SQL_ASCII, so the characters of its text are unknown. Use a database with the encoding UTF8.',
    );
  const all = await readTables(client, version >= PUBLISHES_GENERATED, publication);
  const { tables, leftOut, problems: more } = chooseTables(all, wanted, server.user ?? '');
  problems.push(...more);
  if (problems.length > 0)
    throw new TidemarkError('source_not_ready', { detail: problems.map((problem) => `- ${problem}`).join('\n') });
  return { version, tables, leftOut };
}

/** Chooses the tables to publish and collects the problems of those that cannot be published. */
function chooseTables(
  all: PostgresTable[],
  { listed, held }: WantedTables,
  user: string,
): Omit<Checked, 'version'> & { problems: string[] } {
  const problems: string[] = [];
  const leftOut: string[] = [];
  const tables: PostgresTable[] = [];
  const isNew = ({ name }: PostgresTable) => listed === null && held.size > 0 && !held.has(name);
  const add = (table: PostgresTable, at?: string) => {
    const problem = problemOf(table, user);
    if (problem === null) tables.push(table);
    else if (isNew(table)) leftOut.push(problem);
    else problems.push(withPlace(problem, at));
  };
  for (const { name, at } of listed ?? []) {
    const named = all.filter((table) => table.name === name);
    if (named.length === 0)
      problems.push(withPlace(`There is no table ${name}. Correct its name in relay.yaml, or create it.`, at));
    for (const table of named) add(table, at);
  }
  if (listed === null)
    for (const table of all) if ((table.kind === 'r' || table.kind === 'p') && !table.unlogged) add(table);
  const chosen = tables.filter((table) => {
    const clash = isNew(table) ? nameClashes(tables.filter((other) => sameNameAtReplica(other, table))) : [];
    leftOut.push(...clash);
    return clash.length === 0;
  });
  problems.push(...nameClashes(chosen));
  if (chosen.length === 0 && problems.length === 0)
    problems.push('The database has no table to publish. Create one, or connect to another database.');
  return { tables: chosen, leftOut, problems };
}

const withPlace = (problem: string, at: string | undefined) => (at === undefined ? problem : `${at}: ${problem}`);

const sameNameAtReplica = (a: PostgresTable, b: PostgresTable) => a.name.toLowerCase() === b.name.toLowerCase();

/** Returns a problem for each group of tables whose names differ only in case, which SQLite ignores. */
function nameClashes(tables: readonly PostgresTable[]): string[] {
  return [...Map.groupBy(tables, ({ name }) => name.toLowerCase()).values()]
    .filter((group) => group.length > 1)
    .map(
      (group) =>
        `${group.map(qualified).join(' and ')} cannot both be tables in SQLite, which ignores case in names: there they would be ${group.map(({ name }) => name).join(' and ')}. Rename all but one, or list only one in relay.yaml.`,
    );
}

function problemOf(table: PostgresTable, user: string): string | null {
  const { name, kind, key } = table;
  const kindName = KINDS[kind];
  if (kindName) return `${name} is ${kindName}, and only tables can be published. Remove it from relay.yaml.`;
  if (table.unlogged)
    return `${name} is unlogged. Run: ALTER TABLE ${qualified(table)} SET LOGGED; or remove it from relay.yaml.`;
  if (!table.readable)
    return `The user ${user} is not allowed to read ${name}. Run: GRANT SELECT ON ${qualified(table)} TO ${user};`;
  if (table.policed)
    return `Row-level security of ${name} hides rows from the user ${user}. Run: ALTER ROLE ${user} BYPASSRLS;`;
  if (key.length === 0 && !table.full) return keyless(table);
  const missing = key.filter((column) => !table.columns.some(({ name: present }) => present === column));
  if (missing.length > 0)
    return `The key of ${name} contains the generated column ${missing.join(', ')}, which the master does not publish.`;
  const without = leavesWithoutKey(table.leaves, key);
  if (without.length > 0) return keyNotLogged(table, without);
  const fits = TableSchema.safeParse(table.schema);
  return fits.success
    ? null
    : `${name} cannot be a table in SQLite: ${fits.error.issues.map((issue) => issue.message).join('; ')}.`;
}

function keyNotLogged({ name, key }: PostgresTable, leaves: Leaf[]): string {
  const full = leaves.map((leaf) => `ALTER TABLE ${leaf.name} REPLICA IDENTITY FULL;`).join(' ');
  return `The log of partitions of ${name} does not contain its key (${key.join(', ')}). Run: ${full} Or, with an index on the key: ALTER TABLE … REPLICA IDENTITY USING INDEX …;`;
}

/** Returns the problem of a table that has no key and no replica identity. */
function keyless(table: PostgresTable): string {
  const { name, leaves } = table;
  const relations =
    leaves.length > 0 ? leaves.filter(({ full }) => !full).map((leaf) => leaf.name) : [qualified(table)];
  const full = [...(leaves.length > 0 ? [qualified(table)] : []), ...relations]
    .map((relation) => `ALTER TABLE ${relation} REPLICA IDENTITY FULL;`)
    .join(' ');
  return `${name} has no key that identifies its rows. Run: ALTER TABLE ${qualified(table)} ADD PRIMARY KEY (…); or ALTER TABLE ${qualified(table)} REPLICA IDENTITY USING INDEX …; or, to log complete rows: ${full} Or list other tables in relay.yaml.`;
}
