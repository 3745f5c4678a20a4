import { accessSync, constants, mkdirSync } from 'node:fs';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { TidemarkError } from '@tidemark/protocol/errors';
import { makePrivate } from './config/private-data.ts';
import type { Config, FeedConfig } from './config/relay-config.ts';
import { Feed, type FeedDeps } from './feed/feed.ts';
import { createApp } from './http/app.ts';
import { HTTP_LIMITS, type HttpLimits } from './http/limits/http-limits.ts';
import { limitedServer } from './http/limits/limited-server.ts';
import { connectionLimit } from './http/limits/open-files.ts';
import { metricsServer } from './http/operations/metrics-server.ts';
import { readinessOf } from './http/operations/readiness.ts';
import { answerMalformed } from './http/refusals/malformed.ts';
import { RefusalLog } from './http/refusals/refusal-log.ts';
import { isRoutedBy } from './ingest/scope-counts.ts';
import { namedAttributes } from './routing/filters.ts';
import { RelayWork } from './threads/relay-work.ts';
import { type Bearer, Tokens } from './tokens/tokens.ts';

/**
 * Starts and stops a relay. Start order: data folder, tokens, feeds, server. Stop order: the reverse. A failure during
 * the start closes all parts that are already open. This module handles no requests.
 */

export interface Relay {
  /** The address at which the relay listens, with the actual port. */
  url: string;
  /** Completes the requests in progress and then closes all parts of the relay. */
  stop(): Promise<void>;
}

export interface RelayDeps {
  now: () => number;
  log: (event: string, fields: Record<string, unknown>) => void;
  version: string;
  /** Limits of the HTTP server that differ from {@link HTTP_LIMITS}. */
  limits?: Partial<HttpLimits>;
}

/** Time limit for requests in progress when the relay stops. */
const STOP_MS = 10_000;
/** How often the relay stores when terminals were last seen, in ms. */
const SEEN_MS = 60_000;

/** Starts a relay. Throws db_*, disk_full, or config_invalid if a folder or an address cannot be used. */
export async function startRelay(config: Config, deps: RelayDeps): Promise<Relay> {
  makeFolder(config);
  const { changed, refused } = makePrivate([config.data, config.tokens]);
  if (changed + refused > 0) deps.log('data-made-private', { folder: config.data, changed, refused });
  const tokens = new Tokens(config, deps.log);
  const refusals = new RefusalLog(deps.log);
  const feeds = new Map<string, Feed>();
  const work = new RelayWork();
  const closeAll = async () => {
    await work.digester.close();
    for (const feed of feeds.values()) await feed.close();
    tokens.close();
    refusals.close();
  };
  const stopping = new AbortController();
  const wanted = { ...HTTP_LIMITS, ...deps.limits };
  const limits = { ...wanted, connections: connectionLimit(wanted.connections) };
  if (limits.connections < wanted.connections)
    deps.log('few-open-files', { connections: limits.connections, wanted: wanted.connections });
  const app = createApp({
    ...deps,
    name: config.name,
    feeds,
    work,
    tokens,
    refusals,
    trustedProxies: config.trustedProxies,
    stopping: stopping.signal,
    limits,
    readiness: () => readinessOf(feeds, stopping.signal, tokens.fault),
  });
  const isProxy = app.get('trust proxy fn') as (address: string, hop: number) => boolean;
  const server = limitedServer(app, limits, (address) => isProxy(address, 0));
  answerMalformed(server, refusals);
  const metrics = config.metrics && metricsServer({ feeds, work, now: deps.now }, limits);
  try {
    for (const [name, feed] of Object.entries(config.feeds))
      feeds.set(name, await openFeed(name, feed, config, tokens, { ...deps, work }));
    if (metrics && config.metrics) await listen(metrics, config.metrics, config.places.metrics);
    await listen(server, config.listen, config.places.listen);
  } catch (error) {
    metrics?.close();
    await closeAll();
    throw error;
  }
  const writeSeen = () => {
    try {
      tokens.writeSeen();
    } catch (error) {
      // The times remain in memory, and the next interval writes them.
      deps.log('seen-not-written', { error: String(error) });
    }
  };
  const seen = setInterval(writeSeen, SEEN_MS).unref();

  return {
    url: urlOf(server, config),
    async stop() {
      stopping.abort();
      for (const feed of feeds.values()) feed.release();
      await Promise.all([closeServer(server), ...(metrics ? [closeServer(metrics)] : [])]);
      clearInterval(seen);
      await work.digester.close();
      for (const feed of feeds.values()) await feed.close();
      writeSeen();
      tokens.close();
      refusals.close();
    },
  };
}

/**
 * Opens a feed. First checks that terminals have the attributes that its filters name. Throws config_invalid, db_*,
 * disk_full.
 */
async function openFeed(name: string, feed: FeedConfig, config: Config, tokens: Tokens, deps: FeedDeps): Promise<Feed> {
  const terminals = tokens.list().filter((bearer) => bearer.feed === name && bearer.role === 'terminal');
  const unused = unusedAttributes(feed, terminals);
  // Filters in use may name attributes of removed terminals. That must not prevent the relay from starting for the
  // others.
  if (unused.length > 0 && !isRoutedBy(path.join(config.data, name, 'feed.sqlite'), feed.filters))
    throw new TidemarkError('config_invalid', { detail: unused.join('; ') });
  for (const detail of unused) deps.log('attribute-of-nobody', { feed: name, detail });
  return Feed.open(name, config.data, feed, deps);
}

/** Returns a message for each attribute in the filters that no terminal of the feed has. */
function unusedAttributes({ filters }: FeedConfig, terminals: Bearer[]): string[] {
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

/** Creates the data folder if necessary, and checks that it is writable. Throws config_invalid. */
function makeFolder({ data: folder, places }: Config): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    accessSync(folder, constants.W_OK);
  } catch (error) {
    throw unusable(`${places.data}: ${folder}`, error);
  }
}

/** Explanations of operating system errors about an address or a folder of the configuration. */
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

function listen(server: Server, { host, port }: Config['listen'], place: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error) => reject(unusable(`${place}: ${host}:${port}`, error));
    server.once('error', failed);
    server.listen(port, host, () => {
      server.off('error', failed);
      resolve();
    });
  });
}

/**
 * Stops accepting connections and waits for requests in progress. Then closes connections that take longer than
 * {@link STOP_MS}.
 */
async function closeServer(server: Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeIdleConnections();
  const force = setTimeout(() => server.closeAllConnections(), STOP_MS);
  await closed;
  clearTimeout(force);
}

function urlOf(server: Server, { listen: { host } }: Config): string {
  const { port } = server.address() as AddressInfo;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
