import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, lchownSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { endWithThisProcess } from '@tidemark/testing/processes/reaper';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DemoRun } from '../../scripts/demo/demo-run.ts';

/**
 * Runs the README's commands as a newcomer does: `npm ci`, `npm start` and `npm test` in a clean clone, as an
 * unprivileged user with an empty home folder, no compiler, no Python, no npm configuration and no display. Needs Linux
 * and a package registry. When root starts the tests, the commands run as the user `nobody`; otherwise they run as the
 * current user.
 *
 * `npm test` runs only its fast stages here. `TIDEMARK_FRESH_CLONE=all npm test -- clone` runs all of them. The app's
 * tests then need Debian's packages for Electron, which `npm run setup` installs as root.
 */

const ROOT = path.resolve(import.meta.dirname, '../..');
const NOBODY = 65_534;
const USER = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};

/** Programs that compile native modules. */
const BUILD_TOOLS =
  /^(.*-)?(gcc|g\+\+|cc|c\+\+|cpp|c89|c99|clang|clang\+\+|ld|as|make|gmake|cmake|ninja|node-gyp)(-[\d.]+)?$|python|^pip/;

/** Environment variables that name the registry, a proxy or the network's certificate authority. */
const NETWORK = /^(https?_proxy|no_proxy|all_proxy|node_extra_ca_certs|ssl_cert_file|npm_config_(registry|cafile))$/i;

let home: string;
let clone: string;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  const folder = temporaryFolder('fresh-clone');
  chmodSync(folder, 0o711);
  const own = (name: string) => {
    const made = path.join(folder, name);
    mkdirSync(made);
    if (USER.uid !== undefined) lchownSync(made, USER.uid, USER.gid);
    return made;
  };
  home = own('home');
  clone = own('clone');
  const temporary = own('tmp');
  const noConfig = path.join(folder, 'npmrc');
  writeFileSync(noConfig, '');
  const network = Object.entries(process.env).filter(([name]) => NETWORK.test(name));
  env = {
    ...Object.fromEntries(network),
    PATH: programs(path.join(folder, 'bin')),
    HOME: home,
    TMPDIR: temporary,
    LANG: 'C.UTF-8',
    npm_config_globalconfig: noConfig,
  };
  await copyTracked();
});

afterAll(async () => {
  // Another user owns files in folders that this process created, so that user removes them first.
  if (clone) await run('rm', ['-rf', ...readdirSync(clone).map((name) => path.join(clone, name))]);
});

/** Fills a folder with links to the programs on this machine's path, except compilers and Python. */
function programs(folder: string): string {
  mkdirSync(folder);
  const skipped = (entry: string) => entry.includes('node_modules') || entry.startsWith(os.homedir() + path.sep);
  for (const entry of (process.env.PATH ?? '').split(path.delimiter).filter((each) => each && !skipped(each))) {
    let names: string[] = [];
    try {
      names = readdirSync(entry);
    } catch {
      // The path may name folders that do not exist.
    }
    for (const name of names.filter((each) => !BUILD_TOOLS.test(each))) {
      try {
        symlinkSync(path.join(entry, name), path.join(folder, name));
      } catch {
        // An earlier folder on the path has a program with this name.
      }
    }
  }
  return folder;
}

async function copyTracked(): Promise<void> {
  const { stdout } = await run('git', ['ls-files', '-z'], {
    cwd: ROOT,
    uid: process.getuid?.(),
    gid: process.getgid?.(),
  });
  for (const file of stdout.split('\0').filter(Boolean)) {
    const target = path.join(clone, file);
    mkdirSync(path.dirname(target), { recursive: true });
    copyFileSync(path.join(ROOT, file), target);
  }
  if (USER.uid === undefined) return;
  for (const entry of readdirSync(clone, { recursive: true }))
    lchownSync(path.join(clone, String(entry)), USER.uid, USER.gid);
}

interface Done {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs a program in the clone as the newcomer. */
async function run(
  command: string,
  args: string[],
  as: { cwd?: string; uid?: number | undefined; gid?: number | undefined } = {},
): Promise<Done> {
  const { cwd = clone, uid = USER.uid, gid = USER.gid } = as;
  const user = uid === undefined || gid === undefined ? {} : { uid, gid };
  const child = spawn(command, args, { cwd, env, ...user, stdio: ['ignore', 'pipe', 'pipe'] });
  endWithThisProcess(child);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

test('the newcomer has no compiler, no Python and no npm configuration', async () => {
  for (const tool of ['cc', 'gcc', 'make', 'python', 'python3'])
    expect(await run('sh', ['-c', `command -v ${tool}`])).toMatchObject({ code: 127 });
  expect((await run('npm', ['config', 'get', 'nodedir'])).stdout.trim()).toBe('undefined');
  expect((await run('id', ['-u'])).stdout.trim()).not.toBe('0');
});

test('npm ci succeeds without a warning', async () => {
  const done = await run('npm', ['ci']);
  expect(done, done.stderr).toMatchObject({ code: 0, stderr: '' });
  expect(done.stdout).toMatch(/added \d+ packages/);
  expect(done.stdout).not.toMatch(/warn|deprecated|vulnerab|EBADENGINE/i);
});

test('npm start shows the first data on the branch PC, and Ctrl+C ends every process', async () => {
  const demo = DemoRun.start(env.TMPDIR ?? '', 'npm', ['start'], { cwd: clone, env, ...USER });
  try {
    await demo.receivedData();
    demo.signalConsole('SIGINT');
    await demo.exited();
    await demo.nothingLeft();
    expect(demo.output.stderr).toBe('');
  } finally {
    await demo.output.stop('SIGKILL');
  }
});

test('npm test passes', async () => {
  // The prose check lists files with git, so the copy must be a repository.
  expect(await run('git', ['init', '-q'])).toMatchObject({ code: 0 });
  expect(await run('git', ['add', '-A'])).toMatchObject({ code: 0 });
  const all = process.env.TIDEMARK_FRESH_CLONE === 'all';
  const stages = all ? ['format', 'types', 'lint', 'prose', 'unused', 'unit', 'pg', 'app'] : ['format', 'types'];
  const tested = await run('npm', ['test', '--', ...stages]);
  expect(tested.stdout.trimEnd().split('\n').at(-1), tested.stdout + tested.stderr).toMatch(/^\d+ passed, 0 failed$/);
  expect(tested.code).toBe(0);
  // These tests load SQLite's prebuilt binary.
  const unit = await run('npm', ['run', 'test:unit', '--', 'table-store/', 'protocol/']);
  expect(unit, unit.stdout + unit.stderr).toMatchObject({ code: 0 });
});
