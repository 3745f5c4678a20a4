import { createHash } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { RelayLink } from '@tidemark/master-feed/relay-link';
import type { BatchAnswer, Role } from '@tidemark/protocol/api';
import { type BatchLine, type ChangeLine, changesIn, type PartialLine } from '@tidemark/protocol/lines';
import type { TableSchema } from '@tidemark/protocol/schema';
import { type Config, readConfig } from '@tidemark/relay-server/config/relay-config';
import { type Relay, type RelayDeps, startRelay } from '@tidemark/relay-server/relay';
import { Tokens } from '@tidemark/relay-server/tokens/tokens';
import { temporaryFolder } from '../processes/temporary-folder.ts';

/**
 * Runs the real relay in the test's own process, with a feed that the test drives by hand.
 *
 * A test must begin a session before it sends batches. Positions grow with each batch.
 */

export const ITEM: TableSchema = {
  name: 'item',
  columns: [
    { name: 'id', type: 'integer', source: 'bigint' },
    { name: 'name', type: 'text', source: 'text' },
  ],
  key: ['id'],
};

/** Encodes lines as a batch and adds the trailer. */
export function batchOf(lines: (BatchLine | unknown[])[]): Buffer {
  const body = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
  const sha256 = createHash('sha256').update(body).digest('hex');
  return Buffer.from(`${body}${JSON.stringify({ lines: lines.length, sha256 })}\n`);
}

export const position = (n: number): string => n.toString(16).toUpperCase().padStart(16, '0');
/** Number of rows in one change line. */
const LINE_ROWS = 300;
const AT = '2026-11-23T08:00:00.000000Z';

function configOf(folder: string, feed: string): Config {
  const file = path.join(folder, 'relay.yaml');
  writeFileSync(file, `listen: 127.0.0.1:0\ndata: ./relay-data\nfeeds:\n  other: {}\n  shop: ${feed}\n`);
  return readConfig(file);
}

type Event = Record<string, unknown> & { event: string };

type Limits = NonNullable<RelayDeps['limits']>;

const listen = (config: Config, now: () => number, events: Event[], limits: Limits): Promise<Relay> =>
  startRelay(config, { now, log: (event, fields) => events.push({ event, ...fields }), version: 'test', limits });

/** The relay on loopback, with the feed `shop`, whose only table is {@link ITEM} unless a test sends others. */
export class TestRelay {
  readonly folder: string;
  /** Events that the relay has logged. */
  readonly events: Event[];
  #relay: Relay;
  readonly #send: Record<string, string>;
  readonly #limits: Limits;
  link: RelayLink;
  send: (batch: Buffer, sampledAtMs?: number | null) => Promise<BatchAnswer> = () =>
    Promise.reject(new Error('no session'));
  #at = 0;

  private constructor(folder: string, relay: Relay, tokens: Record<string, string>, events: Event[], limits: Limits) {
    this.folder = folder;
    this.events = events;
    this.#relay = relay;
    this.#send = tokens;
    this.#limits = limits;
    this.link = new RelayLink(relay.url, 'shop', tokens.feed ?? '');
  }

  /**
   * Starts a relay. `feed`: the feed's settings in relay.yaml. `terminals`: additional terminals, with their
   * attributes. `limits`: limits of the HTTP server that differ from the relay's own.
   */
  static async start(
    feed = '{}',
    terminals: Record<string, Record<string, string>> = {},
    limits: Limits = {},
  ): Promise<TestRelay> {
    const folder = temporaryFolder('relay');
    const config = configOf(folder, feed);
    const tokens = new Tokens(config);
    const add = (name: string, role: Role, of: string, attributes: Record<string, string> = {}) =>
      tokens.add({ name, role, feed: of, attributes }, new Date());
    const tokenOf: Record<string, string> = {
      feed: add('feed', 'feed', 'shop'),
      terminal: add('branch-7', 'terminal', 'shop'),
      admin: add('head-office', 'admin', 'shop'),
      other: add('branch-8', 'terminal', 'other'),
    };
    for (const [name, attributes] of Object.entries(terminals))
      tokenOf[name] = add(name, 'terminal', 'shop', attributes);
    tokens.close();
    for (const [name, token] of Object.entries(tokenOf)) writeFileSync(path.join(folder, `${name}.token`), token);
    const events: Event[] = [];
    return new TestRelay(folder, await listen(config, Date.now, events, limits), tokenOf, events, limits);
  }

  /** Stops the relay, calls `between`, and starts the relay with other settings of the feed and its clock at `now`. */
  async restart(feed: string, now: number, between: () => void = () => undefined): Promise<void> {
    await this.#relay.stop();
    between();
    this.#relay = await listen(configOf(this.folder, feed), () => now, this.events, this.#limits);
    this.link = new RelayLink(this.#relay.url, 'shop', this.token('feed'));
  }

  get url(): string {
    return this.#relay.url;
  }

  token(name: string): string {
    const token = this.#send[name];
    if (token === undefined) throw new Error(`${name} has no token`);
    return token;
  }

  tokenFile(name: string): string {
    return path.join(this.folder, `${name}.token`);
  }

  get config(): string {
    return path.join(this.folder, 'relay.yaml');
  }

  /** Begins a session of the feed. */
  async session(): Promise<void> {
    const answer = await this.link.session({ protocol: 1, source: { kind: 'postgres', id: 'test' }, version: 'test' });
    this.send = this.link.sender(answer.session);
  }

  /** Sends a base copy of these lines. Adds the lines `B` and `c`. */
  async baseOf(lines: BatchLine[]): Promise<void> {
    await this.send(batchOf([['B', position(++this.#at), AT, 'test'], ...lines, ['c', changesOf(lines)]]));
  }

  /** Begins a session, and sends a base copy of this many rows and a heartbeat from the end of the master's log. */
  async base(rows: number, name = (n: number) => `item ${n}`): Promise<void> {
    await this.session();
    const ids = Array.from({ length: rows }, (_, i) => i + 1);
    await this.send(
      batchOf([
        ['s', 1, ITEM],
        ['B', position(++this.#at), AT, 'test'],
        ...(rows === 0 ? [] : [['i', 1, ids.map((id) => [id, name(id)])]]),
        ['c', rows],
      ]),
    );
    await this.current();
  }

  /**
   * Sends a heartbeat: the feed read the end of the master's log `msAgo` ms ago, and had sent everything (S12). `last`:
   * number of the last position that was sent.
   */
  async current(msAgo = 0, last = this.#at): Promise<void> {
    await this.send(batchOf([['h', position(last), new Date().toISOString(), true]]), performance.now() - msAgo);
  }

  /** Sends one transaction of these lines, committed at `at`. Adds the lines `b` and `c`. */
  async transaction(lines: BatchLine[], at = AT): Promise<void> {
    await this.send(batchOf([['b', position(++this.#at), at], ...lines, ['c', changesOf(lines)]]));
  }

  /** Sends one transaction that inserts or updates rows. */
  async commit(kind: 'i' | 'u', rows: [number, string][]): Promise<void> {
    const lines: BatchLine[] = [];
    for (let from = 0; from < rows.length; from += LINE_ROWS) lines.push([kind, 1, rows.slice(from, from + LINE_ROWS)]);
    await this.send(batchOf([['s', 1, ITEM], ['b', position(++this.#at), AT], ...lines, ['c', rows.length]]));
  }

  get(route: string, token = this.token('terminal'), headers: Record<string, string> = {}): Promise<Response> {
    return fetch(this.url + route, { headers: { authorization: `Bearer ${token}`, ...headers } });
  }

  /** Returns the bytes of a page, uncompressed. */
  async page(epoch: string, start: string, target: number): Promise<Buffer> {
    const answer = await this.get(`/v1/feeds/shop/pages/${epoch}/all/${start}/${target}`, this.token('terminal'), {
      'accept-encoding': 'identity',
    });
    if (!answer.ok) throw new Error(await answer.text());
    return Buffer.from(await answer.arrayBuffer());
  }

  async stop(): Promise<void> {
    await this.#relay.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const isChange = (line: BatchLine): line is ChangeLine | PartialLine => 'iudtrxap'.includes(line[0]);

const changesOf = (lines: BatchLine[]): number =>
  lines.reduce((sum, line) => sum + (isChange(line) ? changesIn(line) : 0), 0);

/** Returns the key in a token file. */
export const readToken = (file: string): string => readFileSync(file, 'utf8').trim();
