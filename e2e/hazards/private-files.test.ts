import { spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { RelayLink } from '@tidemark/master-feed/relay-link';
import { freePort } from '@tidemark/testing/postgres/embedded';
import { COMMANDS, run, start, until } from '@tidemark/testing/processes';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import { batchOf, ITEM, position } from '@tidemark/testing/test-relay';
import { afterEach, beforeEach, expect, test } from 'vitest';

/** Other accounts on the relay's machine must not be able to read the branches' rows or the keys. */

let folder: string;
const before = process.umask();
beforeEach(() => {
  // Commands inherit the usual umask, which lets every account read new files.
  process.umask(0o022);
  folder = temporaryFolder('private');
});
afterEach(() => {
  process.umask(before);
  rmSync(folder, { recursive: true, force: true });
});

const modeOf = (file: string) => (statSync(file).mode & 0o777).toString(8);

/** Returns `root` and the files and folders in it that another account can access. */
function shared(root: string): string[] {
  const below = readdirSync(root, { recursive: true, encoding: 'utf8' }).map((name) => path.join(root, name));
  return [root, ...below].filter((file) => existsSync(file) && (statSync(file).mode & 0o077) !== 0);
}

test.skipIf(process.platform === 'win32')(
  'data-readable-by-others: the relay creates private files and makes existing ones private; token add --out writes a private file',
  async () => {
    const port = await freePort();
    const config = path.join(folder, 'relay.yaml');
    const data = path.join(folder, 'data');
    writeFileSync(config, `listen: 127.0.0.1:${port}\ndata: ./data\nfeeds:\n  shop: {}\n`);
    // An earlier version created these files.
    mkdirSync(path.join(data, 'shop', 'snapshots'), { recursive: true });
    writeFileSync(path.join(data, 'shop', 'snapshots', 'old.sqlite'), 'rows');
    chmodSync(data, 0o755);

    const add = (role: string) =>
      run('relay', [
        ...['token', 'add', '--config', config, '--role', role, '--feed', 'shop', '--name', role],
        ...['--out', path.join(folder, `${role}.token`)],
      ]);
    for (const role of ['feed', 'terminal']) {
      const added = await add(role);
      expect(added).toMatchObject({ code: 0, stderr: '' });
      const key = readFileSync(path.join(folder, `${role}.token`), 'utf8').trim();
      expect(key).toMatch(/^tm_/);
      expect(added.stdout).not.toContain(key);
      expect(modeOf(path.join(folder, `${role}.token`))).toBe('600');
    }
    const again = await add('feed');
    expect(again.code).toBe(2);
    expect(again.stderr).toContain('--out: ');
    expect(modeOf(path.join(folder, 'relay.tokens.json'))).toBe('600');
    chmodSync(path.join(folder, 'relay.tokens.json'), 0o644);

    const relay = start('relay', ['serve', '--config', config]);
    try {
      const url = `http://127.0.0.1:${port}`;
      await until(
        async () => (await fetch(`${url}/healthz`).catch(() => null))?.ok,
        () => `the relay did not start: ${relay.stderr}`,
      );
      const link = new RelayLink(url, 'shop', readFileSync(path.join(folder, 'feed.token'), 'utf8').trim());
      const { session } = await link.session({
        protocol: 1,
        source: { kind: 'postgres', id: 'test' },
        version: 'test',
      });
      await link.sender(session)(
        batchOf([
          ['s', 1, ITEM],
          ['B', position(1), '2026-11-23T08:00:00.000000Z', 'test'],
          ['i', 1, [[1, 'secret']]],
          ['c', 1],
          ['h', position(1), new Date().toISOString(), true],
        ]),
        performance.now(),
      );
      // The request makes the relay build a snapshot, so that the snapshot, its manifest and its encoded files exist.
      const pulled = await run('terminal', [
        ...['pull', '--relay', url, '--feed', 'shop', '--token-file', path.join(folder, 'terminal.token')],
        ...['--db', path.join(folder, 'branch.sqlite')],
      ]);
      expect(pulled).toMatchObject({ code: 0 });
      const names = readdirSync(data, { recursive: true, encoding: 'utf8' });
      expect(names).toEqual(expect.arrayContaining(['relay.sqlite', path.join('shop', 'feed.sqlite')]));
      expect(names.some((name) => name.endsWith('-wal'))).toBe(true);
      expect(names.some((name) => name.endsWith('.sqlite.zstd'))).toBe(true);
      expect(shared(data)).toEqual([]);
      expect(modeOf(path.join(folder, 'relay.tokens.json'))).toBe('600');
      const lines = relay.stdout.split('\n').filter((line) => line.includes('data-made-private'));
      expect(lines).toHaveLength(1);
    } finally {
      await relay.stop();
    }
  },
);

test.skipIf(process.platform === 'win32')(
  'folder-of-another-account: the relay starts although it cannot read a folder in its data folder, such as lost+found',
  async () => {
    const port = await freePort();
    const config = path.join(folder, 'relay.yaml');
    const data = path.join(folder, 'data');
    writeFileSync(config, `listen: 127.0.0.1:${port}\ndata: ./data\nfeeds:\n  shop: {}\n`);
    mkdirSync(path.join(data, 'lost+found'), { recursive: true, mode: 0o700 });
    // Permissions do not apply to root, so the relay runs under another account.
    const asRoot = process.getuid?.() === 0;
    if (asRoot) for (const file of [folder, config, data]) chownSync(file, 65_534, 65_534);
    else chmodSync(path.join(data, 'lost+found'), 0o000);
    const child = spawn(process.execPath, [COMMANDS.relay, 'serve', '--config', config], {
      ...(asRoot ? { uid: 65_534, gid: 65_534 } : {}),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => {
        said += chunk.toString();
      });
    const closed = new Promise((resolve) => child.once('close', resolve));
    await until(
      async () => said.includes('"listening"') || child.exitCode !== null,
      () => `the relay did not start: ${said}`,
    );
    expect(said).toContain('"listening"');
    child.kill('SIGTERM');
    await closed;
    if (!asRoot) chmodSync(path.join(data, 'lost+found'), 0o700);
  },
);
