import { existsSync } from 'node:fs';
import path from 'node:path';

/** Variables that the agent needs: folders, language, time zone, and the network's proxy. */
const PASSED = [
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
 * The environment of the agent process: the variables above and nothing else, so that no secret of the desktop session
 * reaches it. A better-sqlite3 other than the app's own is only for Electron versions that ours does not fit. While
 * developing, an environment variable names it; in a packed test build it is among the build's resources.
 */
export function agentEnv(from: NodeJS.ProcessEnv, packaged: boolean, resources: string): Record<string, string> {
  const env: Record<string, string> = { NODE_ENV: 'production' };
  for (const name of PASSED) {
    const value = from[name];
    if (value !== undefined) env[name] = value;
  }
  const beside = path.join(resources, 'better-sqlite3');
  const sqlite = packaged ? (existsSync(beside) ? beside : undefined) : from.TIDEMARK_BETTER_SQLITE3;
  if (sqlite !== undefined) env.TIDEMARK_BETTER_SQLITE3 = sqlite;
  return env;
}
