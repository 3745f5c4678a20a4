import { TidemarkError } from '@tidemark/protocol/errors';
import pg from 'pg';
import { connectError } from './connect-error.ts';
import { requireSettings } from './session-settings.ts';
import { connectionOptions } from './source-address.ts';

/**
 * Connections to Postgres. Every value arrives as the master's own text in the styles of docs/types.md. Each connection
 * gets the settings of session-settings.ts before its first use.
 */

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

/**
 * Connects, with the replication protocol if `replication` is true. Throws source_unreachable, source_denied,
 * source_lost, config_invalid for a mistake in the address, or source_not_ready if the server does not keep a required
 * setting.
 */
export async function connect(url: string, replication: boolean): Promise<Connection> {
  const client = new pg.Client({
    application_name: 'tidemark-feed',
    ...connectionOptions(url, process.env),
    connectionTimeoutMillis: CONNECT_MS,
    keepAlive: true,
    types: RAW,
    client_encoding: 'UTF8',
    // Always set this option, because PGREPLICATION would replace a missing one.
    replication: replication ? 'database' : 'false',
  } as pg.ClientConfig);
  const lost = new Promise<never>((_, reject) => {
    client.on('error', (error) => reject(new TidemarkError('source_lost', { detail: error.message }, error)));
    client.on('end', () => reject(new TidemarkError('source_lost', { detail: 'the server closed the connection' })));
  });
  // Callers race against this promise later. The handler prevents an unhandled rejection until then.
  lost.catch(() => undefined);
  try {
    await client.connect();
    await requireSettings(client);
  } catch (error) {
    client.end().catch(() => undefined);
    throw connectError(error, client);
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
