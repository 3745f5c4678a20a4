import { copyFileSync, rmSync } from 'node:fs';
import net, { type AddressInfo, type Socket } from 'node:net';
import path from 'node:path';
import type { Mode, Run } from '@tidemark/protocol/run';
import { INTEGER, query, type RowShape, TEXT, value } from '@tidemark/table-store/query';
import { openReader } from '@tidemark/table-store/sqlite';
import Database from 'better-sqlite3';
import { temporaryFolder } from '../processes/temporary-folder.ts';
import { type AgentRun, agentRun } from './agent-run.ts';
import { FaultProxy } from './fault-proxy.ts';
import { TestRelay } from './test-relay.ts';

/** Counts the bytes on the network in both directions, including headers. */
class Wire {
  bytes = 0;
  readonly #server: net.Server;
  readonly #sockets = new Set<Socket>();

  constructor(target: string) {
    const { port } = new URL(target);
    this.#server = net.createServer((near) => {
      const far = net.connect(Number(port), '127.0.0.1');
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(from);
        from.on('data', (chunk: Buffer) => {
          this.bytes += chunk.length;
        });
        from.on('error', () => to.destroy());
        from.on('close', () => to.destroy());
        from.pipe(to);
      }
    });
  }

  listen(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

/**
 * A relay in this process and the replica of one PC, with a fault proxy between them and methods that alter the
 * replica.
 */
export class Branch {
  readonly relay: TestRelay;
  readonly faultProxy: FaultProxy;
  readonly wire: Wire;
  readonly #folder = temporaryFolder('branch');

  private constructor(relay: TestRelay, faultProxy: FaultProxy, wire: Wire) {
    this.relay = relay;
    this.faultProxy = faultProxy;
    this.wire = wire;
  }

  /** Starts a relay with these feed settings, and adds a terminal with these attributes. */
  static async start(feed = '{}', attributes: Record<string, string> = {}): Promise<Branch> {
    const relay = await TestRelay.start(feed, { branch: attributes });
    const faultProxy = await FaultProxy.start(relay.url);
    const wire = new Wire(faultProxy.url);
    await wire.listen();
    return new Branch(relay, faultProxy, wire);
  }

  async stop(): Promise<void> {
    await this.wire.stop();
    await this.faultProxy.stop();
    await this.relay.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get database(): string {
    return path.join(this.#folder, 'branch.sqlite');
  }

  /** Returns the arguments of a terminal command. */
  args(command: string): string[] {
    const at = ['--relay', this.wire.url, '--feed', 'shop', '--token-file', this.relay.tokenFile('branch')];
    return [command, ...at, '--db', this.database];
  }

  /** Runs the agent once in this process. It gives up at its first failure unless `giveUpAfterMs` is given. */
  run(mode: Mode, options: Pick<AgentRun, 'giveUpAfterMs' | 'repair' | 'each'> = {}): Promise<Run> {
    const { wire, relay, database } = this;
    return agentRun({ relayUrl: wire.url, token: relay.token('branch'), database, mode, ...options });
  }

  /** Syncs the replica with the relay and returns its rows. */
  async synced(): Promise<Record<string, unknown[]>> {
    const first = await this.run('now', { giveUpAfterMs: 240_000 });
    if (first.outcome !== 'done') throw new Error(JSON.stringify(first));
    return this.dump();
  }

  /** Alters the replica as another program would. */
  tamper(...sql: string[]): void {
    const db = new Database(this.database);
    try {
      for (const each of sql) db.exec(each);
    } finally {
      db.close();
    }
  }

  all(sql: string): unknown[] {
    const db = new Database(this.database, { readonly: true });
    try {
      return db.prepare(sql).raw().all();
    } finally {
      db.close();
    }
  }

  #read<T>(sql: string, shape: RowShape<T>): T[] {
    const db = openReader(this.database);
    try {
      return query(db, sql, shape).all();
    } finally {
      db.close();
    }
  }

  get epoch(): string {
    const [epoch] = this.#read('SELECT epoch FROM tidemark_meta', value(TEXT));
    return epoch ?? '';
  }

  get seq(): number {
    const [seq] = this.#read('SELECT seq FROM tidemark_meta', value(INTEGER));
    return seq ?? 0;
  }

  /** Returns all rows of the feed's tables. */
  dump(): Record<string, unknown[]> {
    const names = this.#read('SELECT name FROM tidemark_table ORDER BY name', value(TEXT));
    return Object.fromEntries(names.map((name) => [name, this.all(`SELECT * FROM "${name}" ORDER BY 1, 2`)]));
  }

  /** Renames the replica's file, or restores its name. */
  keep(): void {
    copyFileSync(this.database, `${this.database}.kept`);
  }

  restore(): void {
    for (const suffix of ['-wal', '-shm']) rmSync(this.database + suffix, { force: true });
    copyFileSync(`${this.database}.kept`, this.database);
  }
}
