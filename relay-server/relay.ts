import { accessSync, constants, mkdirSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { Config, FeedConfig } from './config/relay-config.ts';
import { FeedService } from './feed/feed-service.ts';
import { createApp } from './http/app.ts';
import { isRoutedBy } from './ingest/scope-counts.ts';
import { namedAttributes } from './routing/filters.ts';
import { type Bearer, Tokens } from './tokens/tokens.ts';

export interface Relay {
  /** Where it listens: the port is the real one. */
  url: string;
  /** Finishes what is in hand and closes everything. */
  stop(): Promise<void>;
}

export interface RelayDeps {
  now: () => number;
  log: (event: string, fields: Record<string, unknown>) => void;
  version: string;
}

/** A request may take this long to arrive whole; a long poll's answer may take longer. */
const REQUEST_MS = 120_000;
const STOP_MS = 10_000;
/** How often it is written down which terminals were seen. */
const SEEN_MS = 60_000;

/** Starts the relay of a config. Throws db_*, disk_full, or config_invalid about a folder or an address that cannot be had. */
export async function startRelay(config: Config, deps: RelayDeps): Promise<Relay> {
  makeFolder(config);
  const tokens = new Tokens(config);
  const feeds = new Map<string, FeedService>();
  try {
    for (const [name, feed] of Object.entries(config.feeds)) {
      const terminals = tokens.list().filter((bearer) => bearer.feed === name && bearer.role === 'terminal');
      const lacking = attributesOfNobody(feed, terminals);
      // With filters that were in use, terminals came and went: that is no reason to leave the others without a relay.
      if (lacking.length > 0 && !isRoutedBy(path.join(config.data, name, 'feed.sqlite'), feed.filters))
        throw new TidemarkError('config_invalid', { detail: lacking.join('; ') });
      for (const detail of lacking) deps.log('attribute-of-nobody', { feed: name, detail });
      const about = { name: config.name, version: deps.version };
      feeds.set(name, await FeedService.open(name, config.data, feed, about, deps));
    }
  } catch (error) {
    for (const feed of feeds.values()) await feed.close();
    tokens.close();
    throw error;
  }
  const stopping = new AbortController();
  const ready = () => [
    { name: 'accepting', ok: !stopping.signal.aborted, detail: stopping.signal.aborted ? 'the relay is stopping' : '' },
    ...[...feeds].map(([name, feed]) => ({
      name: `feed ${name}`,
      ok: feed.connected,
      detail: feed.connected ? '' : 'not heard from lately',
    })),
  ];
  const server = createServer(createApp({ feeds, tokens, ...deps, stopping: stopping.signal, ready }));
  server.requestTimeout = REQUEST_MS;
  server.keepAliveTimeout = 75_000;
  try {
    await listen(server, config.listen);
  } catch (error) {
    for (const feed of feeds.values()) await feed.close();
    tokens.close();
    throw unusable(`${config.places.listen}: ${config.listen.host}:${config.listen.port}`, error);
  }
  const writeSeen = () => {
    try {
      tokens.writeSeen();
    } catch (error) {
      // Kept in memory, and written the next time.
      deps.log('seen-not-written', { error: String(error) });
    }
  };
  const seen = setInterval(writeSeen, SEEN_MS).unref();
  const { port } = server.address() as AddressInfo;
  const host = config.listen.host.includes(':') ? `[${config.listen.host}]` : config.listen.host;

  return {
    url: `http://${host}:${port}`,
    async stop() {
      stopping.abort();
      for (const feed of feeds.values()) feed.release();
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeIdleConnections();
      const force = setTimeout(() => server.closeAllConnections(), STOP_MS);
      await closed;
      clearTimeout(force);
      for (const feed of feeds.values()) await feed.close();
      clearInterval(seen);
      writeSeen();
      tokens.close();
    },
  };
}

/** What to say of the attributes that filters name and none of the feed's terminals has. */
function attributesOfNobody({ filters }: FeedConfig, terminals: Bearer[]): string[] {
  if (terminals.length === 0) return [];
  const known = new Set(terminals.flatMap(({ attributes }) => Object.keys(attributes)));
  return [...namedAttributes(filters)].flatMap(([attribute, at]) =>
    known.has(attribute)
      ? []
      : [
          `${at}: no terminal has the attribute ${attribute} (known: ${[...known].join(', ') || 'none'}). Correct it, or give it with token set`,
        ],
  );
}

function makeFolder({ data: folder, places }: Config): void {
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.W_OK);
  } catch (error) {
    throw unusable(`${places.data}: ${folder}`, error);
  }
}

const REASONS: Record<string, string> = {
  EADDRINUSE: 'another program uses it',
  EADDRNOTAVAIL: 'this machine has no such address',
  EACCES: 'it is not allowed',
  ENOTDIR: 'it is not a folder',
  EEXIST: 'it is not a folder',
  EROFS: 'it cannot be written to',
};

function unusable(what: string, error: unknown): TidemarkError {
  const { code = '', message } = error as NodeJS.ErrnoException;
  return new TidemarkError('config_invalid', { detail: `${what}: ${REASONS[code] ?? message}` }, error);
}

function listen(server: Server, { host, port }: { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
