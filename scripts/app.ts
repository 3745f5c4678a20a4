import { spawnSync } from 'node:child_process';
import path from 'node:path';

export const ROOT = path.resolve(import.meta.dirname, '..');

/** The folder that Electron is started with. */
export const APP = path.join(ROOT, 'electron');

/** Builds the window's page and the app's processes into electron/out. Throws with the build's output. */
export function buildApp(): void {
  for (const config of ['renderer/vite.config.ts', 'electron/vite.config.ts']) {
    const built = spawnSync(
      process.execPath,
      [path.join(ROOT, 'node_modules/vite/bin/vite.js'), 'build', '--config', config, '--logLevel', 'warn'],
      { cwd: ROOT, encoding: 'utf8' },
    );
    if (built.status !== 0) throw new Error(`the build of ${config} failed:\n${built.stdout}${built.stderr}`);
  }
}

/** Where Chromium's own sandbox cannot run: as root, as in containers. */
export const sandboxArgs = (): string[] => (process.getuid?.() === 0 ? ['--no-sandbox'] : []);

export const hasDisplay = (): boolean =>
  process.platform !== 'linux' || Boolean(process.env.DISPLAY ?? process.env.WAYLAND_DISPLAY);
