import { spawnSync } from 'node:child_process';
import { ROOT } from './app.ts';

/** The Debian packages that Electron needs. `DISPLAY` lists those for a virtual display. */
const LIBRARIES = [
  'libgtk-3-0',
  'libnss3',
  'libasound2',
  'libgbm1',
  'libxss1',
  'libatk-bridge2.0-0',
  'libcups2',
  'libdrm2',
  'libxkbcommon0',
];
const DISPLAY = ['xvfb', 'xauth', 'fonts-dejavu-core'];

const output = (command: string, args: string[]): string =>
  spawnSync(command, args, { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } }).stdout ?? '';

/** Newer Debian releases add a suffix to the names of some libraries. */
const names = (name: string): string[] => (name.startsWith('lib') ? [name, `${name}t64`] : [name]);

// biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own form
const STATUS = '-f=${Status}';

const isInstalled = (name: string): boolean =>
  names(name).some((each) => output('dpkg-query', ['-W', STATUS, each]).includes('ok installed'));

/**
 * Returns the missing system packages for the app and, with `display`, for a virtual display. Empty on systems without
 * dpkg.
 */
export function missingPackages(display: boolean): string[] {
  if (process.platform !== 'linux' || spawnSync('dpkg-query', ['--version']).status !== 0) return [];
  return [...LIBRARIES, ...(display ? DISPLAY : [])].filter((name) => !isInstalled(name));
}

/** Installs missing packages when run as root. Otherwise throws an error with the command to run. */
export function ensureSystem({ display }: { display: boolean }): void {
  const missing = missingPackages(display);
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0) {
    throw new Error(
      `Electron needs packages of the system. Run this once:\n\n  sudo apt-get install -y --no-install-recommends ${missing.join(' ')}\n`,
    );
  }
  console.error(`Installing for Electron: ${missing.join(' ')}`);
  const apt = (...args: string[]) => {
    const done = spawnSync('apt-get', args, {
      cwd: ROOT,
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
    if (done.status !== 0) throw new Error(`apt-get ${args.join(' ')} failed (${done.status})`);
  };
  apt('update', '-qq');
  const known = missing.map(
    (name) => names(name).find((each) => /Candidate: [^(]/.test(output('apt-cache', ['policy', each]))) ?? name,
  );
  apt('install', '-y', '-qq', '--no-install-recommends', ...known);
}

if (import.meta.main) {
  try {
    ensureSystem({ display: true });
    console.log('The system has everything that Tidemark needs.');
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
}
