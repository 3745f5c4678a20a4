import type pg from 'pg';
import { STARTUP_OPTIONS } from './session-settings.ts';

/**
 * Parses the address of the source, `postgres://user@host/database?…`. Only parameters about the connection to the
 * server are passed on, because node-postgres would let any parameter replace the feed's own options.
 */

/** Parameters of the address that are passed to node-postgres. This module handles `options` itself. */
const PASSED = new Set([
  'host',
  'port',
  'user',
  'password',
  'application_name',
  'ssl',
  'sslmode',
  'sslcert',
  'sslkey',
  'sslrootcert',
  'sslnegotiation',
  'uselibpqcompat',
]);

/**
 * Returns the options for node-postgres. As in libpq, `options` of the address replaces PGOPTIONS. The feed's own
 * options are last and take precedence.
 */
export function connectionOptions(address: string, environment: NodeJS.ProcessEnv): pg.ClientConfig {
  const [way = '', query = ''] = address.split(/\?(.*)/s);
  const given = new URLSearchParams(query);
  const passed = new URLSearchParams([...given].filter(([name]) => PASSED.has(name)));
  const options = given.get('options') ?? environment.PGOPTIONS ?? '';
  return {
    connectionString: passed.size > 0 ? `${way}?${passed}` : way,
    options: `${options} ${STARTUP_OPTIONS}`.trim(),
  };
}
