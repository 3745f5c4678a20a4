import { TidemarkError } from '@tidemark/protocol/errors.ts';
import { TableSchema } from '@tidemark/protocol/schema.ts';
import type pg from 'pg';
import { type Leaf, qualified, readTables, type SourceTable, strays } from './catalog.ts';
import { rows } from './connection.ts';
import { PUBLISHES_GENERATED } from './publication.ts';

/** Oldest server whose pgoutput and catalogue we know. */
const OLDEST = 130_000;
const KINDS: Record<string, string> = { v: 'a view', m: 'a materialized view', f: 'a foreign table', S: 'a sequence' };

export interface Checked {
  version: number;
  tables: SourceTable[];
}

/** Which master this is: its cluster and database. */
export async function identify(client: pg.Client): Promise<string> {
  const [row] = await rows(
    client,
    'SELECT (SELECT system_identifier FROM pg_control_system()) AS system, current_database() AS database',
  );
  return `${row?.system}/${row?.database}`;
}

/** Checks all that the master needs. Throws source_not_ready that names everything missing, each with its remedy. */
export async function checkMaster(
  client: pg.Client,
  publish: readonly string[] | null,
  publication: string,
): Promise<Checked> {
  const [server] = await rows(
    client,
    `SELECT current_setting('server_version_num') AS version, current_setting('wal_level') AS wal_level, current_user AS "user",
       (SELECT rolsuper OR rolreplication FROM pg_roles WHERE rolname = current_user) AS replication,
       current_setting('max_replication_slots')::int AS slots, current_setting('max_wal_senders')::int AS senders, pg_is_in_recovery() AS standby,
       getdatabaseencoding() AS encoding`,
  );
  if (!server) throw new TidemarkError('source_unreachable', { detail: 'the server told nothing of itself' });
  const version = Number(server.version);
  const problems: string[] = [];
  if (version < OLDEST) problems.push(`Postgres ${Math.floor(version / 10_000)} is too old. Use 13 or newer.`);
  if (server.wal_level !== 'logical')
    problems.push(`wal_level is ${server.wal_level}. Run: ALTER SYSTEM SET wal_level = logical; and restart Postgres.`);
  if (server.replication !== 't')
    problems.push(`The user ${server.user} may not replicate. Run: ALTER ROLE ${server.user} REPLICATION;`);
  if (Number(server.slots) === 0)
    problems.push(
      'max_replication_slots is 0. Run: ALTER SYSTEM SET max_replication_slots = 10; and restart Postgres.',
    );
  if (Number(server.senders) === 0)
    problems.push('max_wal_senders is 0. Run: ALTER SYSTEM SET max_wal_senders = 10; and restart Postgres.');
  if (server.standby === 't') problems.push('This server is a standby. Connect to the primary.');
  if (server.encoding === 'SQL_ASCII')
    problems.push(
      'The database has the encoding SQL_ASCII: its texts have no known characters. Use a database with UTF8.',
    );
  const { tables, problems: more } = chooseTables(
    await readTables(client, version >= PUBLISHES_GENERATED, publication),
    publish,
    server.user ?? '',
  );
  problems.push(...more);
  if (problems.length > 0)
    throw new TidemarkError('source_not_ready', { detail: problems.map((problem) => `- ${problem}`).join('\n') });
  return { version, tables };
}

/** The tables to publish, and what is wrong with them. */
function chooseTables(
  all: SourceTable[],
  publish: readonly string[] | null,
  user: string,
): { tables: SourceTable[]; problems: string[] } {
  const problems: string[] = [];
  const tables: SourceTable[] = [];
  const wanted =
    publish?.map((name) => ({ name, table: all.find((table) => table.name === name) })) ??
    all
      .filter(({ kind, unlogged }) => (kind === 'r' || kind === 'p') && !unlogged)
      .map((table) => ({ name: table.name, table }));
  for (const { name, table } of wanted) {
    const problem =
      table === undefined
        ? `There is no table ${name}. Correct its name in relay.yaml, or create it.`
        : problemOf(table, user);
    if (problem !== null) problems.push(problem);
    else if (table) tables.push(table);
  }
  if (wanted.length === 0)
    problems.push('The database has no table to publish. Create one, or connect to another database.');
  return { tables, problems };
}

function problemOf(table: SourceTable, user: string): string | null {
  const { name, kind, key } = table;
  const kindName = KINDS[kind];
  if (kindName) return `${name} is ${kindName}: only tables have a log. Take it out of relay.yaml.`;
  if (table.unlogged)
    return `${name} is unlogged. Run: ALTER TABLE ${qualified(table)} SET LOGGED; or take it out of relay.yaml.`;
  if (!table.readable)
    return `The user ${user} may not read ${name}. Run: GRANT SELECT ON ${qualified(table)} TO ${user};`;
  if (table.policed)
    return `Policies (row-level security) of ${name} hide rows from the user ${user}. Run: ALTER ROLE ${user} BYPASSRLS;`;
  if (key.length === 0 && !table.full) return keyless(table);
  const missing = key.filter((column) => !table.columns.some(({ name: present }) => present === column));
  if (missing.length > 0)
    return `The key of ${name} holds the computed column ${missing.join(', ')}, which the master does not publish.`;
  const astray = strays(table.leaves, key);
  if (astray.length > 0) return keyNotLogged(table, astray);
  const fits = TableSchema.safeParse(table.schema);
  return fits.success
    ? null
    : `${name} cannot stand in SQLite: ${fits.error.issues.map((issue) => issue.message).join('; ')}.`;
}

function keyNotLogged({ name, key }: SourceTable, leaves: Leaf[]): string {
  const full = leaves.map((leaf) => `ALTER TABLE ${leaf.name} REPLICA IDENTITY FULL;`).join(' ');
  return `Partitions of ${name} do not log its key (${key.join(', ')}). Run: ${full} or, with an index over the key: ALTER TABLE … REPLICA IDENTITY USING INDEX …;`;
}

/** What is missing of a table whose rows have no key, or whose key the log does not hold. */
function keyless(table: SourceTable): string {
  const { name, leaves } = table;
  const whole = leaves.length > 0 ? leaves.filter(({ full }) => !full).map((leaf) => leaf.name) : [qualified(table)];
  const full = [...(leaves.length > 0 ? [qualified(table)] : []), ...whole]
    .map((relation) => `ALTER TABLE ${relation} REPLICA IDENTITY FULL;`)
    .join(' ');
  return `${name} has no key by which its rows are known. Run: ALTER TABLE ${qualified(table)} ADD PRIMARY KEY (…); or ALTER TABLE ${qualified(table)} REPLICA IDENTITY USING INDEX …; or, for whole rows in the log: ${full} or list other tables in relay.yaml.`;
}
