import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import pg from 'pg';
import { endWithThisProcess } from '../processes/reaper.ts';
import { temporaryFolder } from '../processes/temporary-folder.ts';
import { type Binaries, findBinaries, giveAll, type ServerUser, serverUser } from './binaries.ts';
import { clusterTemplate } from './cluster-template.ts';

export interface PostgresOptions {
  /** Kept at the end when given; else a temporary folder that goes when the server stops. */
  dataDir?: string;
  /** Default `logical`. */
  walLevel?: 'logical' | 'replica' | 'minimal';
  /** More settings, by name. */
  settings?: Record<string, string>;
  /** Default: one that is free. */
  port?: number;
  /** Whether commits survive a crash of the machine (fsync). Default false; a killed process loses nothing either way. */
  durable?: boolean;
}

/** A Postgres 18 of our own, on the loopback. */
export interface EmbeddedPostgres {
  /** Superuser's address of the database `postgres`, with the password. */
  url: string;
  port: number;
  dataDir: string;
  /** Process id of the running postmaster. */
  readonly pid: number;
  /** The server's output since it started. */
  log(): string;
  createDatabase(name: string): Promise<string>;
  /** Ends the server; a temporary data folder is removed. */
  stop(mode?: 'fast' | 'immediate'): Promise<void>;
  /** Kills the postmaster as a crash would; `restart` recovers. */
  kill9(): Promise<void>;
  /** Stops the server if it runs and starts it again with the same port and data, and perhaps other settings. */
  restart(settings?: Record<string, string>): Promise<void>;
}

const READY_MS = 60_000;

/** Starts a server and waits until it takes connections. Throws with the server's own words when it does not start. */
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
    // After a kill its children hold the shared memory for a moment.
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
    // In a session of its own Ctrl+C does not reach it: its starter stops it after its clients.
    detached: true,
    windowsHide: true,
  });
  // SIGQUIT: Postgres ends at once and recovers at its next start, as after a crash.
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

/** A port of the loopback that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
