import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type Binaries, createOnce, give, type ServerUser } from './binaries.ts';

/**
 * Creates a Postgres cluster with initdb once on this machine. Each server starts from a copy, because initdb takes
 * longer than the rest of a start.
 */

export interface ClusterTemplate {
  dataDir: string;
  /** The superuser's password, which is the same in all copies. */
  password: string;
}

/** Returns the template, and creates it first if necessary. Throws an error with initdb's output when initdb fails. */
export function clusterTemplate(binaries: Binaries, user: ServerUser | null): ClusterTemplate {
  const folder = createOnce(path.join(binaries.cache, `template-${binaries.version}`), (work) =>
    initialise(work, binaries, user),
  );
  return { dataDir: path.join(folder, 'data'), password: readFileSync(path.join(folder, 'password'), 'utf8') };
}

function initialise(folder: string, binaries: Binaries, user: ServerUser | null): void {
  const passwordFile = path.join(folder, 'password');
  writeFileSync(passwordFile, randomBytes(18).toString('hex'), { mode: 0o600 });
  give(passwordFile, user);
  give(folder, user);
  const args = ['-D', path.join(folder, 'data'), '-U', 'postgres', '--pwfile', passwordFile];
  const settings = ['--auth=scram-sha-256', '--encoding=UTF8', '--no-locale', '--no-sync', '--no-instructions'];
  const initdb = spawnSync(binaries.initdb, [...args, ...settings], {
    ...(user ?? {}),
    cwd: folder,
    env: { PATH: process.env.PATH, LC_ALL: 'C' },
    encoding: 'utf8',
    windowsHide: true,
  });
  if (initdb.status !== 0)
    throw new Error(`initdb failed: ${initdb.error?.message ?? ''}${initdb.stderr}${initdb.stdout}`);
}
