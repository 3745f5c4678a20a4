import { spawnSync } from 'node:child_process';
import path from 'node:path';

/** Builds and locates the desktop app for the scripts and tests that start it. */

export const ROOT = path.resolve(import.meta.dirname, '..');

/** The folder with the app, as an argument for Electron. */
export const APP = path.join(ROOT, 'electron');

/**
 * Builds the window's page and the app's processes into electron/out. Throws an error with the build's output when a
 * build fails.
 */
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

/**
 * Returns the arguments that turn off Chromium's sandbox when this process runs as root, which Chromium refuses to
 * sandbox. Empty for any other user.
 */
export const sandboxArgs = (): string[] => (process.getuid?.() === 0 ? ['--no-sandbox'] : []);

export const hasDisplay = (): boolean =>
  process.platform !== 'linux' || Boolean(process.env.DISPLAY ?? process.env.WAYLAND_DISPLAY);
