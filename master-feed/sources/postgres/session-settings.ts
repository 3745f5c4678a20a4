import { TidemarkError } from '@tidemark/protocol/errors';
import type pg from 'pg';
import { literal, rows } from './sql.ts';

/**
 * Sets the session settings that determine the text of values, and those that could end or change a statement of the
 * feed.
 *
 * It calls `set_config` after the sign-in, which overrides the server's configuration, ALTER DATABASE, ALTER ROLE,
 * PGOPTIONS and the `options` of the source's address. Then it reads the settings back. The feed must not use a
 * connection with another setting: its values would be wrong at every terminal, and a comparison would not detect it.
 */

/** Required settings by lower-case name, with values as in pg_settings. */
const REQUIRED: Readonly<Record<string, string>> = {
  // These determine the text of values. The names in values such as regclass depend on search_path and
  // quote_all_identifiers.
  datestyle: 'ISO, MDY',
  intervalstyle: 'iso_8601',
  timezone: 'UTC',
  bytea_output: 'hex',
  extra_float_digits: '3',
  lc_monetary: 'C',
  client_encoding: 'UTF8',
  search_path: 'public',
  quote_all_identifiers: 'off',
  // These determine the effect of the feed's own statements. The server must send the warning about a missing
  // publication.
  row_security: 'off',
  standard_conforming_strings: 'on',
  client_min_messages: 'warning',
  default_transaction_read_only: 'off',
  default_transaction_isolation: 'read committed',
  // No time limits: a copy may take hours, and the stream never ends.
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  // Postgres 14 and 17 introduced these. Older servers do not have them.
  idle_session_timeout: '0',
  transaction_timeout: '0',
};

/** Settings for the start of a connection, so that no time limit ends the statements below. */
export const STARTUP_OPTIONS = '-c statement_timeout=0';

const NAMES = Object.keys(REQUIRED).map(literal).join(', ');
const VALUES = Object.entries(REQUIRED)
  .map(([name, value]) => `(${literal(name)}, ${literal(value)})`)
  .join(', ');
// This setting must be first, so that the other statements use the names of pg_catalog.
const SET_PATH = `SELECT pg_catalog.set_config('search_path', ${literal(REQUIRED.search_path ?? '')}, false)`;
const SET = `SELECT set_config(s.name, w.value, false) FROM pg_settings s JOIN (VALUES ${VALUES}) w(name, value) ON lower(s.name) = w.name`;
const READ = `SELECT name, setting FROM pg_settings WHERE lower(name) IN (${NAMES})`;

/**
 * Sets and reads back the settings of a new connection. Throws source_not_ready if one differs, and errors of Postgres.
 */
export async function requireSettings(client: pg.Client): Promise<void> {
  await client.query(SET_PATH);
  await client.query(SET);
  refuseOthers(await rows(client, READ));
}

/**
 * Throws source_not_ready if a setting differs from the required one. `found` contains rows with `name` and `setting`.
 */
export function refuseOthers(found: readonly Record<string, string | null>[]): void {
  const problems = found.flatMap(({ name, setting }) => {
    const required = REQUIRED[name?.toLowerCase() ?? ''];
    return setting === required
      ? []
      : [
          `- The setting ${name} of the feed's connection is ${setting} and must be ${required}. Remove the extension or the proxy that changes it.`,
        ];
  });
  if (problems.length > 0) throw new TidemarkError('source_not_ready', { detail: problems.join('\n') });
}
