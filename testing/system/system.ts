import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { RelayStatus, type Role, TransactionList } from '@tidemark/protocol/api';
import { PATHS } from '@tidemark/protocol/paths';
import { readConfig } from '@tidemark/relay-server/config/relay-config';
import { Tokens } from '@tidemark/relay-server/tokens/tokens';
import { freePort } from '../postgres/embedded.ts';
import { type Finished, type Running, run, start, until } from '../processes/commands.ts';
import { temporaryFolder } from '../processes/temporary-folder.ts';

export interface SystemOptions {
  kill?: NodeJS.Signals;
  /**
   * How often the feed sends heartbeats, ms. With the default of 5 s, every {@link System.settled} would wait for
   * seconds.
   */
  heartbeatMs?: number;
  /** The feed's entry in relay.yaml when `tables` is null. */
  feed?: string;
  /** Additional terminals, with their attributes. */
  terminals?: Record<string, Record<string, string>>;
}

/**
 * The feed, relay and terminals of one test. Each is a separate process, started with a command of
 * docs/reference/commands.md.
 */
export class System {
  readonly folder: string;
  readonly source: string;
  readonly port: number;
  /** The addresses of the relay for the feed and for terminals. A test that sets them restarts the feed. */
  feedUrl: string;
  terminalUrl: string;
  relay: Running | null = null;
  feed: Running | null = null;
  #started: Running[] = [];
  readonly #kill: NodeJS.Signals;
  readonly #heartbeatMs: number;

  private constructor(folder: string, source: string, port: number, kill: NodeJS.Signals, heartbeatMs: number) {
    this.#kill = kill;
    this.#heartbeatMs = heartbeatMs;
    this.folder = folder;
    this.source = source;
    this.port = port;
    this.feedUrl = this.url;
    this.terminalUrl = this.url;
  }

  /**
   * Writes relay.yaml and the tokens, and starts relay and feed on the database at `source`. `tables` null: all tables.
   */
  static async start(
    source: string,
    tables: string[] | null = null,
    { kill = 'SIGKILL', heartbeatMs = 400, feed, terminals = {} }: SystemOptions = {},
  ): Promise<System> {
    const folder = temporaryFolder('system');
    const system = new System(folder, source, await freePort(), kill, heartbeatMs);
    const listed =
      tables === null
        ? (feed ?? 'shop: {}')
        : ['shop:', '    tables:', ...tables.map((name) => `      ${JSON.stringify(name)}: {}`)].join('\n');
    await writeFile(
      system.config,
      `listen: 127.0.0.1:${system.port}\ndata: ${JSON.stringify(path.join(folder, 'relay-data'))}\nfeeds:\n  ${listed}\n`,
    );
    await system.addToken('feed', 'feed');
    await system.addToken('terminal', 'branch-7');
    for (const [name, attributes] of Object.entries(terminals)) await system.addToken('terminal', name, attributes);
    try {
      await system.startRelay();
      system.startFeed();
    } catch (error) {
      await system.stop();
      throw error;
    }
    return system;
  }

  get config(): string {
    return path.join(this.folder, 'relay.yaml');
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  database(name = 'branch'): string {
    return path.join(this.folder, `${name}.sqlite`);
  }

  tokenFile(name: string): string {
    return path.join(this.folder, `${name}.token`);
  }

  /** `attributes`: the terminal's values for the attributes that filters in relay.yaml use. */
  async addToken(role: Role, name: string, attributes: Record<string, string> = {}): Promise<void> {
    const tokens = new Tokens(readConfig(this.config));
    try {
      const token = tokens.add({ name, role, feed: 'shop', attributes }, new Date());
      await writeFile(this.tokenFile(name), token, { mode: 0o600 });
    } finally {
      tokens.close();
    }
  }

  async startRelay(): Promise<void> {
    const relay = start('relay', ['serve', '--config', this.config]);
    this.relay = relay;
    this.#started.push(relay);
    await until(
      async () => (await fetch(`${this.url}/healthz`).catch(() => null))?.ok,
      () => `the relay did not start: ${relay.stdout}${relay.stderr}`,
    );
  }

  startFeed(): void {
    // The source contains a password, so it is passed in the environment instead of the arguments.
    this.feed = start(
      'feed',
      ['run', '--feed', 'shop', '--relay', this.feedUrl, '--token-file', this.tokenFile('feed')],
      {
        TIDEMARK_SOURCE: this.source,
        TIDEMARK_HEARTBEAT_MS: String(this.#heartbeatMs),
      },
    );
    this.#started.push(this.feed);
  }

  terminalArgs(command: string, database = this.database(), name = 'branch-7'): string[] {
    const relay = ['--relay', this.terminalUrl, '--feed', 'shop', '--token-file', this.tokenFile(name)];
    return [command, ...relay, '--db', database];
  }

  /** Pulls once with the terminal's command. Throws unless the pull succeeds, whether or not tables are in trouble. */
  async pull(database = this.database(), more: string[] = [], name = 'branch-7'): Promise<Finished> {
    const pulled = await run('terminal', [...this.terminalArgs('pull', database, name), ...more]);
    if (pulled.code !== 0 && pulled.code !== 3)
      throw new Error(
        `pull failed (${pulled.code}): ${pulled.stdout}${pulled.stderr}\nfeed: ${this.feed?.stdout.slice(-4000)}${this.feed?.stderr.slice(-2000)}`,
      );
    return pulled;
  }

  /** Starts a terminal that follows the relay until the terminal or the system is stopped. */
  startWatch(database = this.database(), name = 'branch-7'): Running {
    const watch = start('terminal', this.terminalArgs('watch', database, name));
    this.#started.push(watch);
    return watch;
  }

  startPull(database = this.database()): Running {
    const pull = start('terminal', this.terminalArgs('pull', database));
    this.#started.push(pull);
    return pull;
  }

  async status(): Promise<RelayStatus> {
    return RelayStatus.parse(await this.#get(PATHS.status('shop')));
  }

  /** Returns the transactions that the relay keeps, oldest first, at most 500. */
  async transactions(): Promise<TransactionList['transactions']> {
    const { head, horizon } = await this.status();
    const asked = `${PATHS.transactions('shop')}?epoch=${head?.epoch}&after=${horizon}&limit=500`;
    return TransactionList.parse(await this.#get(asked)).transactions;
  }

  /** Returns the relay's JSON answer to terminal branch-7. */
  async #get(route: string): Promise<unknown> {
    const token = (await readFile(this.tokenFile('branch-7'), 'utf8')).trim();
    const answer = await fetch(this.url + route, { headers: { authorization: `Bearer ${token}` } });
    if (!answer.ok) throw new Error(`${route}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  /** Returns the log events with this name that the current feed has written. */
  events(event: string): Record<string, unknown>[] {
    const lines = (this.feed?.stdout ?? '').split('\n').filter((line) => line.includes(`"event":"${event}"`));
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /**
   * Waits until the relay is known to hold everything that the master committed before this call: until the moment from
   * which its lag counts is after the call (S12).
   */
  async settled(): Promise<void> {
    const from = Date.now();
    let last = '';
    await until(
      async () => {
        const status = await this.status().catch((error: unknown) => {
          last = String(error);
          return null;
        });
        if (status) last = JSON.stringify(status);
        const { head, now, feed } = status ?? {};
        if (!head || !feed || now === undefined || feed.lagMs === null) return false;
        return now - feed.lagMs > from;
      },
      () =>
        `the relay did not come up to date: ${last}\nfeed: ${this.feed?.stdout.slice(-4000)}${this.feed?.stderr.slice(-2000)}\nrelay: ${this.relay?.stdout.slice(-3000)}${this.relay?.stderr.slice(-2000)}`,
    );
  }

  /** Rejects when feed or relay ends unexpectedly. */
  async failed(): Promise<never> {
    const { feed, relay } = this;
    const ended = await Promise.race([feed?.ended, relay?.ended]);
    throw new Error(`feed or relay ended (${ended?.code}): ${ended?.stdout.slice(-2000)}${ended?.stderr.slice(-2000)}`);
  }

  async stop(): Promise<void> {
    for (const process of this.#started.reverse()) await process.stop(this.#kill);
    await rm(this.folder, { recursive: true, force: true });
  }
}
