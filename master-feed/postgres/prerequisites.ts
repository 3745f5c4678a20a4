import { TidemarkError } from '@tidemark/protocol/errors';
import { TableSchema } from '@tidemark/protocol/schema';
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
  /** What is wrong with tables that came since and are left out. */
  leftOut: string[];
}

/** A table to publish, and where relay.yaml names it (`relay.yaml line 9: …`). */
export interface Listed {
  name: string;
  at?: string;
}

/** Which master this is: its cluster and database. */
export async function identify(client: pg.Client): Promise<string> {
  const [row] = await rows(
    client,
    'SELECT (SELECT system_identifier FROM pg_control_system()) AS system, current_database() AS database',
  );
  return `${row?.system}/${row?.database}`;
}

const NONE: ReadonlySet<string> = new Set();

/**
 * Checks all that the master needs. Throws source_not_ready that names everything missing, each with its remedy. `held`:
 * names of tables that the relay has; where relay.yaml lists none, another one that cannot be published is left out and
 * does not end the stream of those.
 */
export async function checkMaster(
  client: pg.Client,
  publish: readonly Listed[] | null,
  publication: string,
  held: ReadonlySet<string> = NONE,
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
  const all = await readTables(client, version >= PUBLISHES_GENERATED, publication);
  const { tables, leftOut, problems: more } = chooseTables(all, publish, server.user ?? '', held);
  problems.push(...more);
  if (problems.length > 0)
    throw new TidemarkError('source_not_ready', { detail: problems.map((problem) => `- ${problem}`).join('\n') });
  return { version, tables, leftOut };
}

/** The tables to publish, and what is wrong with them. */
function chooseTables(
  all: SourceTable[],
  publish: readonly Listed[] | null,
  user: string,
  held: ReadonlySet<string>,
): Omit<Checked, 'version'> & { problems: string[] } {
  const problems: string[] = [];
  const leftOut: string[] = [];
  const tables: SourceTable[] = [];
  const isNew = ({ name }: SourceTable) => publish === null && held.size > 0 && !held.has(name);
  const take = (table: SourceTable, at?: string) => {
    const problem = problemOf(table, user);
    if (problem === null) tables.push(table);
    else if (isNew(table)) leftOut.push(problem);
    else problems.push(placed(problem, at));
  };
  for (const { name, at } of publish ?? []) {
    const named = all.filter((table) => table.name === name);
    if (named.length === 0)
      problems.push(placed(`There is no table ${name}. Correct its name in relay.yaml, or create it.`, at));
    for (const table of named) take(table, at);
  }
  if (publish === null)
    for (const table of all) if ((table.kind === 'r' || table.kind === 'p') && !table.unlogged) take(table);
  const chosen = tables.filter((table) => {
    const clash = isNew(table) ? namesakes(tables.filter((each) => isNamesake(each, table))) : [];
    leftOut.push(...clash);
    return clash.length === 0;
  });
  problems.push(...namesakes(chosen));
  if (chosen.length === 0 && problems.length === 0)
    problems.push('The database has no table to publish. Create one, or connect to another database.');
  return { tables: chosen, leftOut, problems };
}

const placed = (problem: string, at: string | undefined) => (at === undefined ? problem : `${at}: ${problem}`);

const isNamesake = (a: SourceTable, b: SourceTable) => a.name.toLowerCase() === b.name.toLowerCase();

/** Says which tables would be one at a terminal. */
function namesakes(tables: readonly SourceTable[]): string[] {
  return [...Map.groupBy(tables, ({ name }) => name.toLowerCase()).values()]
    .filter((group) => group.length > 1)
    .map(
      (group) =>
        `${group.map(qualified).join(' and ')} cannot both stand in SQLite: their names there, ${group.map(({ name }) => name).join(' and ')}, are the same to it, which does not tell upper from lower case. Rename all but one, or list only one in relay.yaml.`,
    );
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
