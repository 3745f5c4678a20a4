import { TidemarkError } from '@tidemark/protocol/errors';
import type pg from 'pg';
import { literal, rows } from './sql.ts';

/**
 * The session settings that the text of values depends on, and those that could end or change a statement of the feed.
 *
 * They are set by `set_config` after the sign-in, which overrides the server's configuration, ALTER DATABASE, ALTER ROLE,
 * PGOPTIONS and the `options` of the source's address. Then they are read back. A connection with another setting
 * must not be used: its values would be wrong at every terminal, and comparing would not find it.
 */

/** Required settings, by lower-case name, as pg_settings shows them. */
const REQUIRED: Readonly<Record<string, string>> = {
  // The text of values. Names in values such as regclass depend on search_path and quote_all_identifiers.
  datestyle: 'ISO, MDY',
  intervalstyle: 'iso_8601',
  timezone: 'UTC',
  bytea_output: 'hex',
  extra_float_digits: '3',
  lc_monetary: 'C',
  client_encoding: 'UTF8',
  search_path: 'public',
  quote_all_identifiers: 'off',
  // The meaning of the feed's own statements. The warning about a missing publication must arrive.
  row_security: 'off',
  standard_conforming_strings: 'on',
  client_min_messages: 'warning',
  default_transaction_read_only: 'off',
  default_transaction_isolation: 'read committed',
  // A copy may take hours, and the stream never ends.
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  // Since Postgres 14 and 17. Older servers do not have them.
  idle_session_timeout: '0',
  transaction_timeout: '0',
};

/** For the start of a connection, so that no time limit ends the statements below. */
export const STARTUP_OPTIONS = '-c statement_timeout=0';

const NAMES = Object.keys(REQUIRED).map(literal).join(', ');
const VALUES = Object.entries(REQUIRED)
  .map(([name, value]) => `(${literal(name)}, ${literal(value)})`)
  .join(', ');
// First, so that the names in the other statements are those of pg_catalog.
const SET_PATH = `SELECT pg_catalog.set_config('search_path', ${literal(REQUIRED.search_path ?? '')}, false)`;
const SET = `SELECT set_config(s.name, w.value, false) FROM pg_settings s JOIN (VALUES ${VALUES}) w(name, value) ON lower(s.name) = w.name`;
const READ = `SELECT name, setting FROM pg_settings WHERE lower(name) IN (${NAMES})`;

/** Sets and reads back the settings of a new connection. Throws source_not_ready when one differs, and Postgres errors. */
export async function requireSettings(client: pg.Client): Promise<void> {
  await client.query(SET_PATH);
  await client.query(SET);
  refuseOthers(await rows(client, READ));
}

/** Throws source_not_ready when a setting is not as required. `found`: rows with `name` and `setting`. */
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
