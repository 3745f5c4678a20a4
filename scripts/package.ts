import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { build, type Configuration } from 'electron-builder';
import { parse } from 'yaml';
import { APP, buildApp, hasDisplay, ROOT, sandboxArgs } from './app.ts';
import { type ElectronRuntime, findElectron } from './electron-runtime/runtime.ts';
import { ensureSystem } from './setup.ts';

/**
 * `npm run package`: builds the unpacked app for this machine, starts it and checks the status that it reports. With
 * `--installers`, also builds the installers of electron-builder.yml, whose tools electron-builder downloads.
 */

const STAGE = path.join(APP, 'dist/app');
const OUTPUT = path.join(APP, 'dist/packages');

const runtime = await findElectron(console.error);
console.error('Building…');
buildApp();
stage();
const config = parse(readFileSync(path.join(ROOT, 'electron-builder.yml'), 'utf8')) as Configuration;
const installers = process.argv.includes('--installers');
if (installers && runtime.carried)
  throw new Error(`a release needs Electron ${config.electronVersion}; this is not it`);
rmSync(OUTPUT, { recursive: true, force: true });
await build({
  projectDir: STAGE,
  publish: 'never',
  dir: !installers,
  config: { ...config, ...(runtime.carried ? carriedConfig(runtime, config) : { electronDist: runtime.distPath }) },
});
selfTest();

/** Collects the files to pack: the app's build, and better-sqlite3 with the binary of this platform. */
function stage(): void {
  rmSync(STAGE, { recursive: true, force: true });
  mkdirSync(STAGE, { recursive: true });
  cpSync(path.join(APP, 'out'), path.join(STAGE, 'out'), { recursive: true });
  const about = JSON.parse(readFileSync(path.join(APP, 'package.json'), 'utf8')) as Record<string, unknown> & {
    dependencies: Record<string, string>;
  };
  const tableStore = JSON.parse(readFileSync(path.join(ROOT, 'table-store/package.json'), 'utf8')) as typeof about;
  const sqlite = path.dirname(
    createRequire(path.join(ROOT, 'table-store/x.js')).resolve('better-sqlite3/package.json'),
  );
  cpSync(sqlite, path.join(STAGE, 'node_modules/better-sqlite3'), {
    recursive: true,
    dereference: true,
    filter: (file) => !/\/better-sqlite3\/(deps|src|docs|node_modules)(\/|$)/.test(file.replaceAll('\\', '/')),
  });
  const packed = {
    name: 'tidemark',
    productName: about.productName,
    version: about.version,
    description: 'Keeps this PC’s copy of the head office’s data.',
    author: 'Tidemark',
    main: about.main,
    dependencies: { 'better-sqlite3': tableStore.dependencies['better-sqlite3'] },
  };
  writeFileSync(path.join(STAGE, 'package.json'), JSON.stringify(packed, null, 2));
}

/**
 * Returns the configuration for the carried runtime, which tests packaging where Electron cannot be downloaded. Never
 * use it for a release.
 */
function carriedConfig(
  { distPath, version, betterSqlite3Path = '' }: ElectronRuntime,
  config: Configuration,
): Configuration {
  const modules = path.dirname(betterSqlite3Path);
  return {
    electronDist: distPath,
    electronVersion: version,
    extraResources: readdirSync(modules).map((name) => ({
      from: path.join(modules, name),
      to: name === 'better-sqlite3' ? name : `better-sqlite3/node_modules/${name}`,
    })),
    // This runtime's executable does not have all of Electron's fuses.
    electronFuses: { ...config.electronFuses, enableEmbeddedAsarIntegrityValidation: false },
  };
}

function selfTest(): void {
  const unpacked = readdirSync(OUTPUT, { withFileTypes: true }).find(
    (entry) => entry.isDirectory() && /unpacked$|^mac/.test(entry.name),
  );
  if (!unpacked) throw new Error(`there is no unpacked build in ${OUTPUT}`);
  const folder = path.join(OUTPUT, unpacked.name);
  const executable =
    process.platform === 'darwin'
      ? 'Tidemark.app/Contents/MacOS/Tidemark'
      : process.platform === 'win32'
        ? 'Tidemark.exe'
        : 'tidemark';
  const command = [path.join(folder, executable), '--self-test', ...sandboxArgs()];
  if (!hasDisplay()) ensureSystem({ display: true });
  const [program = '', ...args] = hasDisplay() ? command : ['xvfb-run', '-a', ...command];
  const tested = spawnSync(program, args, { encoding: 'utf8', timeout: 120_000 });
  const said = tested.stdout.split('\n').find((line) => line.startsWith('{'));
  console.log(said ?? tested.stderr);
  if (tested.status !== 0) throw new Error(`the build does not start (${tested.status ?? tested.signal})`);
  console.log(
    `The build starts: ${path.relative(ROOT, folder)}${runtime.carried ? ' (with the carried Electron: for a look only, not a release)' : ''}`,
  );
}
