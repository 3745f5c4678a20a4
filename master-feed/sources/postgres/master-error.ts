import { TidemarkError } from '@tidemark/protocol/errors';
import { BaseCopyNeeded } from '../../source.ts';

/**
 * Converts an error of a statement at the master to an error with a code and a remedy, by its SQLSTATE. An operator's
 * mistake must not become `internal`: only errors in the feed's own SQL (syntax errors, unknown names) remain unchanged.
 */

/** The meaning of an SQLSTATE, or of a class of them, for an operator. A complete SQLSTATE precedes its class. */
const STATES: Record<string, (message: string) => TidemarkError> = {
  '08': lost(),
  '08P01': (message) =>
    new TidemarkError('config_invalid', {
      detail: `--source (or TIDEMARK_SOURCE): the server refuses the feed's connection: ${message}. If the address names a connection pooler, name the database server itself`,
    }),
  '0A': notReady('The server does not support a statement of the feed', 'Connect to the primary server itself'),
  '25006': notReady('The server accepts no writes', 'Connect to the primary, or end its read-only mode'),
  '42501': notReady('The user does not have a right', 'Grant it'),
  '42710': lost(),
  '40': lost(),
  '53': lost('Free memory at the master'),
  '53100': lost('Free disk space at the master'),
  '53300': lost('Close other connections, or raise max_connections and max_wal_senders at the master'),
  '53400': notReady(
    'A limit of the server is reached',
    'Raise the setting that the message names, and restart Postgres',
  ),
  '55': lost(),
  '57': lost(),
  '57P04': notReady('The database was dropped', 'Create it, or correct the address of the source'),
  '58': lost('Check the disk of the master and its log'),
  P0: notReady(
    'A function or an event trigger at the master refuses a statement of the feed',
    'Exempt the feed from it',
  ),
  XX: lost('Check the log of the master'),
};

function lost(remedy?: string): (message: string) => TidemarkError {
  return (message) =>
    new TidemarkError('source_lost', { detail: remedy === undefined ? message : `${message}. ${remedy}` });
}

function notReady(what: string, remedy: string): (message: string) => TidemarkError {
  return (message) => new TidemarkError('source_not_ready', { detail: `- ${what}: ${message}. ${remedy}.` });
}

/** Messages of node-postgres about a connection that has ended. They have no code. */
const ENDED = /^(Connection terminated|Client has encountered a connection error|Client was closed)|timeout expired/;
const NETWORK = /^E[A-Z]+$/;

/** Returns the error to throw for an error at the master. Returns errors of the feed itself unchanged. */
export function masterError(error: unknown): unknown {
  if (error instanceof TidemarkError || error instanceof BaseCopyNeeded || !(error instanceof Error)) return error;
  const { code = '', message } = error as Error & { code?: string };
  if (ENDED.test(message) || NETWORK.test(code)) return new TidemarkError('source_lost', { detail: message }, error);
  const state = [code, code.slice(0, 2)].find((prefix) => Object.hasOwn(STATES, prefix)) ?? '';
  const found = code.length === 5 ? STATES[state]?.(message) : undefined;
  if (found) found.cause = error;
  return found ?? error;
}

/** Returns the error for a failed stream or copy. Any error without a known cause counts as a lost connection. */
export function streamError(error: Error): TidemarkError {
  const found = masterError(error);
  return found instanceof TidemarkError ? found : new TidemarkError('source_lost', { detail: error.message }, error);
}

/** Runs statements at the master. Throws the error of {@link masterError}. */
export async function atMaster<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw masterError(error);
  }
}

/** Reports whether the master refused a statement, and the connection can still be used. */
export function isRefusal(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: string };
  return code !== undefined && /^[0-9A-Z]{5}$/.test(code) && !/^(08|57P|58|XX)/.test(code) && !NETWORK.test(code);
}
