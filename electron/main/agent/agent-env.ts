import { existsSync } from 'node:fs';
import path from 'node:path';

/** Environment variables that the agent needs: folders, language, time zone and network proxy. */
const INHERITED = [
  'PATH',
  'HOME',
  'USERPROFILE',
  'APPDATA',
  'LOCALAPPDATA',
  'SystemRoot',
  'TMPDIR',
  'TEMP',
  'TMP',
  'LANG',
  'LC_ALL',
  'TZ',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'http_proxy',
  'https_proxy',
  'no_proxy',
] as const;

/**
 * Returns the environment of the agent process. It contains only the variables above, so that no secret of the desktop
 * session reaches the agent. A second build of better-sqlite3 serves Electron versions that the app's own build does
 * not support. In development an environment variable names it; in a packed test build it is in the resources folder.
 */
export function agentEnv(from: NodeJS.ProcessEnv, packaged: boolean, resources: string): Record<string, string> {
  const env: Record<string, string> = { NODE_ENV: 'production' };
  for (const name of INHERITED) {
    const value = from[name];
    if (value !== undefined) env[name] = value;
  }
  const beside = path.join(resources, 'better-sqlite3');
  const sqlite = packaged ? (existsSync(beside) ? beside : undefined) : from.TIDEMARK_BETTER_SQLITE3;
  if (sqlite !== undefined) env.TIDEMARK_BETTER_SQLITE3 = sqlite;
  return env;
}
