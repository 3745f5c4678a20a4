import { TidemarkError } from '@tidemark/protocol/errors';
import type pg from 'pg';
import type { WantedTables } from '../../source.ts';
import { type PostgresTable, readTables } from './catalog.ts';
import { PUBLISHES_GENERATED, publicationProblem, readPublication } from './publication.ts';
import { boundedText, type Names, problemLines } from './remedies.ts';
import { slotProblem } from './slot.ts';
import { ident, rows } from './sql.ts';
import { chooseTables, type PlacedProblem } from './wanted-tables.ts';

/**
 * Checks the feed's prerequisites at the master: server settings, the user's rights, the publication, and each table.
 *
 * A problem of the server concerns all tables and is an error. A problem of a table concerns only that table: the caller
 * sets it aside. While the relay holds no table, the problems of tables are an error too, because the administrator who
 * starts the feed can read it. That error names everything that is missing at once, with statements to paste, so that
 * one round is enough.
 */

/** The oldest server version that the feed supports, as server_version_num. */
const OLDEST = 130_000;

export interface Checked {
  /** The server version as server_version_num. */
  version: number;
  /** The tables to publish. */
  tables: PostgresTable[];
  /** Every relation of the database that a name in relay.yaml can refer to. */
  all: PostgresTable[];
  /** Problems of tables that are not published. */
  problems: PlacedProblem[];
  names: Names;
}

/** Returns the identity of the master: its cluster and database. */
export async function identify(client: pg.Client): Promise<string> {
  const [row] = await rows(
    client,
    'SELECT (SELECT system_identifier FROM pg_control_system()) AS system, current_database() AS database',
  );
  return `${row?.system}/${row?.database}`;
}

/**
 * Checks all prerequisites and describes the tables to publish. Throws source_not_ready for a problem of the server or
 * the publication. While the relay holds no table, throws it for the problems of tables too.
 */
export async function checkMaster(client: pg.Client, wanted: WantedTables, publication: string): Promise<Checked> {
  const [server] = await rows(
    client,
    `SELECT current_setting('server_version_num') AS version, current_setting('wal_level') AS wal_level, quote_ident(current_user) AS "user",
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
       (SELECT rolsuper OR rolreplication FROM pg_roles WHERE rolname = current_user) AS replication,
       has_database_privilege(current_database(), 'CREATE') AS may_create, current_database() AS database,
       current_setting('max_replication_slots')::int AS slots, current_setting('max_wal_senders')::int AS senders, pg_is_in_recovery() AS standby,
       getdatabaseencoding() AS encoding`,
  );
  if (!server) throw new TidemarkError('source_unreachable', { detail: 'the server did not report its settings' });
  const version = Number(server.version);
  const user = server.user ?? '';
  const isSuperuser = server.superuser === 't';
  const names = { user, publication: ident(publication) };
  const isFirst = wanted.held.size === 0;
  const present = await readPublication(client, publication);
  const all = await readTables(client, version >= PUBLISHES_GENERATED, publication);
  const { tables, problems } = chooseTables(all, wanted, {
    user,
    isSuperuser,
    ownsPublication: present?.owned ?? true,
    published: present?.tables ?? new Map(),
  });
  const lines = serverProblems(server, version);
  // The publication must contain the tables that the other statements make publishable.
  const publishable = [...tables, ...correctable(all, problems)];
  const repair = publicationProblem(publication, present, isFirst ? publishable : tables, version, {
    user,
    isSuperuser,
    mayCreate: server.may_create === 't',
    database: server.database ?? '',
  });
  // The statements for the complete publication also publish each table.
  const ofTables = repair === null ? problems : problems.filter(({ reason }) => reason !== 'not_published');
  if (isFirst) lines.push(...problemLines(ofTables, names));
  if (repair !== null) lines.push(repair);
  if (isFirst) lines.push(...(await slotProblem(client, publication)));
  if (isFirst && tables.length === 0 && lines.length === 0)
    lines.push('The database has no table to publish. Create one, or connect to another database.');
  if (lines.length > 0) throw new TidemarkError('source_not_ready', { detail: boundedText(lines) });
  return { version, tables, all, problems, names };
}

/** Returns the tables whose problems all have statements, which the administrator runs before the feed starts again. */
function correctable(all: readonly PostgresTable[], problems: readonly PlacedProblem[]): PostgresTable[] {
  const ids = new Map<number, boolean>();
  for (const { id, statements } of problems)
    if (id !== null) ids.set(id, (ids.get(id) ?? true) && statements.length > 0);
  return all.filter(({ id }) => ids.get(id) === true);
}

function serverProblems(server: Record<string, string | null>, version: number): string[] {
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
  return problems;
}
