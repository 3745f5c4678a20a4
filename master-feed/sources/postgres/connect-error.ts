import { TidemarkError } from '@tidemark/protocol/errors';
import type pg from 'pg';
import { streamError } from './master-error.ts';

/** Converts a failure to connect to an error with a code and a remedy. The error must never contain a password. */

/** Codes in Node.js of TLS failures that this side detects. */
const TLS_CODE = /^(CERT_|ERR_TLS_|ERR_SSL_|ERR_OSSL_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_(GET|VERIFY)_)/;
const UNTRUSTED =
  'Add sslrootcert=FILE to the address, where FILE holds the certificate of the authority that signed it (a self-signed certificate is its own authority), or install a certificate for the name of this host. sslmode=no-verify encrypts the connection without checking the server';
const NO_PASSWORD =
  'the master requires a password, and none is set. Set the variable PGPASSWORD. Or write the line host:port:database:user:password into the file that PGPASSFILE names (default: .pgpass in the home directory), and make it readable by its owner only (mode 0600)';

/** Explanations of error codes of the operating system. */
const NETWORK: Record<string, string> = {
  ENOTFOUND: 'there is no host of this name',
  EAI_AGAIN: 'the name of the host cannot be resolved now',
  ECONNREFUSED: 'nothing accepts connections on this host and port',
  EHOSTUNREACH: 'the host cannot be reached through the network',
  ENETUNREACH: 'the network of the host cannot be reached',
  ETIMEDOUT: 'the host does not answer',
  ECONNRESET: 'the connection was closed before the sign-in',
};

const config = (detail: string, cause: unknown) =>
  new TidemarkError('config_invalid', { detail: `--source (or TIDEMARK_SOURCE): ${detail}` }, cause);

/** Returns the error for a connection that failed to open. */
export function connectError(error: unknown, client: pg.Client): TidemarkError {
  if (error instanceof TidemarkError) return error;
  // For a host with several addresses, report the first failure, because all are of the same kind.
  const first = error instanceof AggregateError ? error.errors[0] : error;
  const { code = '', message } = first as { code?: string; message: string };
  const unreachable = (detail: string) => new TidemarkError('source_unreachable', { detail }, error);
  const isSignIn = code.startsWith('28') || /^SASL|client password must be/.test(message);
  if (isSignIn && !client.password && code !== '28000')
    return new TidemarkError('source_denied', { detail: NO_PASSWORD }, error);
  if (isSignIn || code === '42501') return new TidemarkError('source_denied', { detail: message }, error);
  if (TLS_CODE.test(code)) return config(`the server's certificate is not accepted: ${message}. ${UNTRUSTED}`, error);
  if (/does not support SSL/.test(message))
    return config('the server does not support TLS. Turn on ssl at the server, or use sslmode=disable', error);
  // 42704: unknown setting. 42601: invalid option. 22023: invalid value.
  if (code === '42704' || code === '42601' || code === '22023')
    return config(`the server refuses the options: ${message}. Correct options= or PGOPTIONS`, error);
  // 53300: no free connection. 57P…: the server is starting or stopping. 08P01: a pooler refuses the start parameters.
  if (code === '53300' || code.startsWith('57P') || code === '08P01') return streamError(first as Error);
  if (code in NETWORK) return unreachable(NETWORK[code] ?? message);
  return unreachable(message === 'timeout expired' ? 'the host does not answer' : message);
}
