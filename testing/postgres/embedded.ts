import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import pg from 'pg';
import { endWithThisProcess } from '../processes/reaper.ts';
import { temporaryFolder } from '../processes/temporary-folder.ts';
import { type Binaries, findBinaries, giveAll, type ServerUser, serverUser } from './binaries.ts';
import { clusterTemplate } from './cluster-template.ts';

/**
 * Starts and stops Postgres servers for tests, benchmarks and the demo.
 *
 * A server listens on loopback only and ends with the process that started it. Order: copy the cluster template, write
 * the settings, start the server, wait until it accepts connections.
 */

export interface PostgresOptions {
  /** The data folder, which `stop` keeps. Default: a temporary folder, which `stop` removes. */
  dataDir?: string;
  /** The server's wal_level. Default: `logical`. */
  walLevel?: 'logical' | 'replica' | 'minimal';
  /** Other server settings, by name. */
  settings?: Record<string, string>;
  /** The server's port. Default: a free one. */
  port?: number;
  /**
   * Whether commits survive a crash of the machine (fsync). Default: false. A killed server loses no commits in either
   * case.
   */
  durable?: boolean;
}

/** A running Postgres 18 server on loopback. */
export interface EmbeddedPostgres {
  /** The connection string of the superuser for the database `postgres`, with the password. */
  url: string;
  port: number;
  dataDir: string;
  /** The process id of the postmaster. */
  readonly pid: number;
  /** Returns the server's output since it started. */
  log(): string;
  createDatabase(name: string): Promise<string>;
  /** Stops the server and removes a temporary data folder. */
  stop(mode?: 'fast' | 'immediate'): Promise<void>;
  /** Kills the postmaster, as a crash would. `restart` then runs crash recovery. */
  kill9(): Promise<void>;
  /**
   * Stops the server if it runs, and starts it with the same port and data. `settings` changes only the settings that
   * it names.
   */
  restart(settings?: Record<string, string>): Promise<void>;
}

const READY_MS = 60_000;

/**
 * Starts a server and waits until it accepts connections. Throws an error with the server's output when it does not
 * start.
 */
export async function startPostgres(options: PostgresOptions = {}): Promise<EmbeddedPostgres> {
  const user = serverUser();
  const binaries = findBinaries(user);
  const { dataDir: template, password } = clusterTemplate(binaries, user);
  const dataDir = options.dataDir ?? temporaryFolder('postgres');
  if (!existsSync(path.join(dataDir, 'PG_VERSION'))) {
    mkdirSync(dataDir, { recursive: true });
    cpSync(template, dataDir, { recursive: true });
    giveAll(dataDir, user);
  }
  const port = options.port ?? (await freePort());
  const settings = {
    wal_level: options.walLevel ?? 'logical',
    ...(options.walLevel === 'minimal' ? { max_wal_senders: '0' } : {}),
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    fsync: options.durable ? 'on' : 'off',
    full_page_writes: options.durable ? 'on' : 'off',
    shared_buffers: '128MB',
    ...options.settings,
  };
  let running = await launch(binaries, user, dataDir, port, settings);
  const url = (database: string) => `postgres://postgres:${password}@127.0.0.1:${port}/${database}`;

  const end = async (signal: NodeJS.Signals) => {
    const { child } = running;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const closed = new Promise((resolve) => child.once('close', resolve));
    child.kill(signal);
    await closed;
  };

  return {
    url: url('postgres'),
    port,
    dataDir,
    get pid() {
      return running.child.pid ?? 0;
    },
    log: () => running.log(),
    async createDatabase(name) {
      const client = new pg.Client({ connectionString: url('postgres') });
      await client.connect();
      await client.query(`CREATE DATABASE "${name.replaceAll('"', '""')}"`);
      await client.end();
      return url(name);
    },
    async stop(mode = 'fast') {
      await end(mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
      if (options.dataDir === undefined) rmSync(dataDir, { recursive: true, force: true });
    },
    kill9: () => end('SIGKILL'),
    async restart(more = {}) {
      await end('SIGINT');
      Object.assign(settings, more);
      running = await launch(binaries, user, dataDir, port, settings);
    },
  };
}

interface Launched {
  child: ChildProcess;
  log(): string;
}

async function launch(
  binaries: Binaries,
  user: ServerUser | null,
  dataDir: string,
  port: number,
  settings: Record<string, string>,
): Promise<Launched> {
  const deadline = Date.now() + READY_MS;
  for (;;) {
    const launched = spawnServer(binaries, user, dataDir, port, settings);
    if (await ready(launched, deadline)) return launched;
    // The children of a killed postmaster hold the shared memory a little longer.
    const passing = /pre-existing shared memory block|lock file "postmaster\.pid" already exists/.test(launched.log());
    if (!passing || Date.now() > deadline) throw new Error(`Postgres did not start:\n${launched.log()}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function spawnServer(
  binaries: Binaries,
  user: ServerUser | null,
  dataDir: string,
  port: number,
  settings: Record<string, string>,
): Launched {
  const args = [
    '-D',
    dataDir,
    '-p',
    String(port),
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ];
  const child = spawn(binaries.postgres, args, {
    ...(user ?? {}),
    cwd: dataDir,
    env: { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' },
    stdio: ['ignore', 'pipe', 'pipe'],
    // The server gets its own session, so that Ctrl+C does not reach it: its starter must stop the clients first.
    detached: true,
    windowsHide: true,
  });
  // On SIGQUIT Postgres ends without a checkpoint and recovers at its next start, as after a crash.
  endWithThisProcess(child, 'SIGQUIT');
  let log = '';
  const keep = (chunk: Buffer) => {
    log = (log + chunk.toString('utf8')).slice(-200_000);
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  child.on('error', (error) => keep(Buffer.from(`${error.message}\n`)));
  return { child, log: () => log };
}

function ready({ child, log }: Launched, deadline: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => done(false), Math.max(0, deadline - Date.now()));
    const done = (value: boolean) => {
      clearTimeout(timer);
      child.stderr?.off('data', look);
      child.off('close', failed);
      resolve(value);
    };
    const failed = () => done(false);
    const look = () => {
      if (log().includes('database system is ready to accept connections')) done(true);
    };
    child.stderr?.on('data', look);
    child.once('close', failed);
    child.once('error', failed);
  });
}

/** Returns a loopback port that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
