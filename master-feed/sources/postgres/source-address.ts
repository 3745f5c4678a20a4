import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import pg from 'pg';
import { STARTUP_OPTIONS } from './session-settings.ts';

/**
 * Checks and parses the address of the source, `postgres://user:password@host:port/database?parameter=value`.
 *
 * The feed checks the address before its first use, and more strictly than a URL parser. If a password contains an
 * unencoded `/`, `#` or `@`, a parser takes a part of it for the host, which then appears in name lookups, errors and
 * logs. A message of this module must not contain any part of an address, because that could be a part of the password.
 *
 * Only parameters about the connection to the server are passed on, because node-postgres would let any parameter
 * replace the feed's own options.
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

const FILES = ['sslrootcert', 'sslcert', 'sslkey'] as const;
const SSL_MODES = ['disable', 'no-verify', 'prefer', 'require', 'verify-ca', 'verify-full'];

const ENCODING =
  'In the user name and the password, write @ as %40, / as %2F, # as %23, ? as %3F, : as %3A, % as %25 and a space as %20. Or leave the password out of the address, and put it into PGPASSWORD or the file that PGPASSFILE names';

const PART = {
  scheme: /^postgres(ql)?:\/\//,
  user: /^([\p{L}\p{N}._~$+!*'()=&-]|%[0-9a-f]{2})*$/iu,
  host: /^([\p{L}\p{N}._~-]|%[0-9a-f]{2})*$|^\[[0-9a-f:.]+(%25[\w.]+)?\]$/iu,
  malformedEscape: /%(?![0-9a-f]{2})/i,
};

/**
 * Returns the options for node-postgres. As in libpq, `options` of the address replaces PGOPTIONS. The feed's own
 * options are last and take precedence.
 */
export function connectionOptions(address: string, environment: NodeJS.ProcessEnv): pg.ClientConfig {
  const [way, query] = halves(address);
  const given = new URLSearchParams(query);
  const passed = new URLSearchParams([...given].filter(([name]) => PASSED.has(name)));
  const options = given.get('options') ?? environment.PGOPTIONS ?? '';
  return {
    connectionString: passed.size > 0 ? `${way}?${passed}` : way,
    options: `${options} ${STARTUP_OPTIONS}`.trim(),
  };
}

/** Names of this machine. A path is the folder of a Unix socket. */
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[?::1\]?|\/.*|)$/i;
const NOT_ENCRYPTED =
  'the connection to the master is not encrypted, because the address names no sslmode: anyone on the network can read the data and may read the password. Add ?sslmode=verify-full to the address. Or, if the network itself is protected, add ?sslmode=disable';

/**
 * Returns a warning if the connection to another host is not encrypted and the address does not ask for that. Returns
 * null otherwise. Takes a valid address.
 */
export function encryptionWarning(address: string, environment: NodeJS.ProcessEnv): string | null {
  const [way, query] = halves(address);
  const given = new URLSearchParams(query);
  if (given.has('sslmode') || given.has('ssl') || environment.PGSSLMODE) return null;
  const [authority = ''] = way.replace(PART.scheme, '').split('/', 1);
  const host = authority.replace(/^.*@/, '').replace(/:\d+$/, '');
  const target = given.get('host') ?? (host === '' ? (environment.PGHOST ?? '') : decodeURIComponent(host));
  return LOOPBACK.test(target) ? null : NOT_ENCRYPTED;
}

/** Returns the mistake in an address as a sentence with the part and the remedy, or null if there is none. */
export function addressMistake(address: string): string | null {
  if (!PART.scheme.test(address)) return 'write it as postgres://user@host/database';
  const [way, query] = halves(address);
  return wayMistake(way, query) ?? parameterMistake(new URLSearchParams(query)) ?? refusalOf(address);
}

/** Splits the address at the first `?`. */
function halves(address: string): [way: string, query: string] {
  const [way = '', query = ''] = address.split(/\?(.*)/s);
  return [way, query];
}

function wayMistake(way: string, query: string): string | null {
  const rest = way.replace(PART.scheme, '');
  const authority = rest.split('/', 1)[0] ?? '';
  const database = rest.slice(authority.length + 1);
  if (rest.includes('#') || query.includes('#')) return `the address contains an unencoded #. ${ENCODING}`;
  if (database.includes('@')) return `an @ follows the first / of the address. ${ENCODING}`;
  if (query.includes('@')) return `an @ follows the ? of the address. ${ENCODING}. In a parameter, write @ as %40`;
  const [userinfo, ...hosts] = authority.includes('@') ? authority.split('@') : ['', authority];
  if (hosts.length > 1) return `the address contains more than one @. ${ENCODING}`;
  if (!isDecodable(rest)) return `the address contains a % that begins no escape. ${ENCODING}`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern rejects control characters.
  if (/[\s\u0000-\u001f\u007f\\]/u.test(rest))
    return `the address contains a space, a \\ or a control character. ${ENCODING}`;
  if (!PART.user.test(userinfo?.split(':', 1)[0] ?? '')) return `the user name is not valid. ${ENCODING}`;
  const [, host = '', port = ''] = /^(.*?)(?::([^\]]*))?$/.exec(hosts[0] ?? '') ?? [];
  if (port !== '' && !isPort(port))
    return `the port is not a number from 1 to 65535. In an address without @, the text after the : is the port. ${ENCODING}`;
  return PART.host.test(host) ? null : `the host is not valid. ${ENCODING}`;
}

const isPort = (text: string) => /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535;

function isDecodable(text: string): boolean {
  if (PART.malformedEscape.test(text)) return false;
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

function parameterMistake(parameters: URLSearchParams): string | null {
  const mode = parameters.get('sslmode');
  if (mode !== null && !SSL_MODES.includes(mode)) return `sslmode is none of ${SSL_MODES.join(', ')}`;
  const port = parameters.get('port');
  if (port !== null && !isPort(port)) return 'the parameter port is not a number from 1 to 65535';
  for (const name of FILES) {
    const file = parameters.get(name);
    if (file !== null && file !== '' && !isReadable(file)) return `${name} names a file that cannot be read`;
  }
  const authority = parameters.get('sslrootcert');
  if (authority && !isCertificate(authority)) return 'sslrootcert names a file that is not a PEM certificate';
  return null;
}

function isReadable(file: string): boolean {
  try {
    readFileSync(file);
    return true;
  } catch {
    return false;
  }
}

function isCertificate(file: string): boolean {
  try {
    return new X509Certificate(readFileSync(file)).subject !== undefined;
  } catch {
    return false;
  }
}

/**
 * Finds other mistakes that node-postgres rejects. Its own message may contain parts of the address, so it is not used.
 */
function refusalOf(address: string): string | null {
  try {
    new pg.Client(connectionOptions(address, {}));
    return null;
  } catch {
    return `the address or one of its TLS parameters is not valid. ${ENCODING}`;
  }
}
