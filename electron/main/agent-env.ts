import { existsSync } from 'node:fs';
import path from 'node:path';

/** What the sync engine's process needs of the environment: folders, language, the network's proxy. Nothing else gets in. */
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
 * The environment of the engine's process. A better-sqlite3 other than the app's own is only for runtimes that ours
 * does not fit: named by the environment while developing, lying in the build's resources when packed for a test.
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
