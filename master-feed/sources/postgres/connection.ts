import { TidemarkError } from '@tidemark/protocol/errors';
import pg from 'pg';

/**
 * Connections to Postgres. Every value arrives as the master's own text in the styles of docs/types.md, whatever
 * settings the database or the user has.
 */

/** Settings of each connection, which determine the text of values. */
const STYLES = [
  'datestyle=ISO',
  'timezone=UTC',
  'intervalstyle=iso_8601',
  'extra_float_digits=3',
  'bytea_output=hex',
  'lc_monetary=C',
  'row_security=off',
  'default_transaction_read_only=off',
  'statement_timeout=0',
  'lock_timeout=0',
  'idle_in_transaction_session_timeout=0',
  'client_min_messages=warning',
];

/** Turns off the limits that Postgres 14 and 17 introduced. Older servers would reject a connection that names them. */
const LATER_LIMITS = `SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN ('idle_session_timeout', 'transaction_timeout')`;

const CONNECT_MS = 10_000;

/** Leaves every value as text. */
const RAW: pg.CustomTypesConfig = {
  getTypeParser: () => (value: string | Buffer) => value,
} as unknown as pg.CustomTypesConfig;

/** Members of node-postgres' connection that its published types omit. */
export interface RawConnection {
  query(text: string): void;
  sendCopyFromChunk(chunk: Buffer): void;
  readonly stream: { pause(): void; resume(): void; destroy(): void; setNoDelay?(on: boolean): void };
}

/** A query that reads a COPY stream. node-postgres calls the handlers as messages arrive. */
export abstract class CopyQuery {
  readonly #text: string;
  protected connection: RawConnection | null = null;

  constructor(text: string) {
    this.#text = text;
  }

  submit(connection: RawConnection): void {
    this.connection = connection;
    connection.query(this.#text);
  }

  abstract handleCopyData(message: { chunk: Buffer }): void;
  abstract handleError(error: Error): void;
  abstract handleReadyForQuery(): void;
  handleCommandComplete(): void {}
  handleRowDescription(): void {}
  handleDataRow(): void {}
  handlePortalSuspended(): void {}
  handleEmptyQuery(): void {}
  handleCopyInResponse(): void {}
}

export interface Connection {
  client: pg.Client;
  /** Rejects when the connection is lost. */
  lost: Promise<never>;
  end(): Promise<void>;
}

/** Connects; `replication` makes a connection for the replication protocol. Throws source_unreachable, source_denied. */
export async function connect(url: string, replication: boolean): Promise<Connection> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'tidemark-feed',
    options: STYLES.map((style) => `-c ${style}`).join(' '),
    connectionTimeoutMillis: CONNECT_MS,
    keepAlive: true,
    types: RAW,
    client_encoding: 'UTF8',
    ...(replication ? { replication: 'database' } : {}),
  } as pg.ClientConfig);
  const lost = new Promise<never>((_, reject) => {
    client.on('error', (error) => reject(new TidemarkError('source_lost', { detail: error.message }, error)));
    client.on('end', () => reject(new TidemarkError('source_lost', { detail: 'the server closed the connection' })));
  });
  // Callers race against this promise later. The handler prevents an unhandled rejection until then.
  lost.catch(() => undefined);
  try {
    await client.connect();
    await client.query(LATER_LIMITS);
  } catch (error) {
    client.end().catch(() => undefined);
    throw connectError(error);
  }
  return {
    client,
    lost,
    async end() {
      // Destroy the socket, because a connection in COPY mode does not answer a Terminate message.
      (client as unknown as { connection: RawConnection }).connection.stream.destroy();
    },
  };
}

function connectError(error: unknown): TidemarkError {
  const { code, message } = error as { code?: string; message: string };
  // 28…: authentication failed. 42501: insufficient privilege. A missing database counts as unreachable, because
  // someone may be restoring it.
  const denied = code?.startsWith('28') || code === '42501';
  const shutting = code?.startsWith('57P');
  return new TidemarkError(denied && !shutting ? 'source_denied' : 'source_unreachable', { detail: message }, error);
}

/** Quotes a name for Postgres. */
export function ident(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** Runs a query and returns its rows as objects of texts. */
export async function rows(client: pg.Client, sql: string): Promise<Record<string, string | null>[]> {
  return (await client.query(sql)).rows as Record<string, string | null>[];
}
