import { spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { Replica } from '@tidemark/replica/replica';
import { COMMANDS, run } from '@tidemark/testing/processes';
import Database from 'better-sqlite3';
import { describe, expect, test } from 'vitest';
import { args, database, folder, relay, rows, useTerminal } from './terminal-lab.ts';

/** The replica's path names a file that the terminal cannot use. */

useTerminal();

describe('the local database', () => {
  test('reports and leaves unchanged a folder, a non-SQLite file, and a file of a newer version, of another feed or in use', async () => {
    await relay.base(3);
    const refused = async (file: string, code: string) => {
      const ended = await run('terminal', args('pull', { db: file }));
      expect(ended.stderr).toMatch(new RegExp(`^${code}: `));
      expect(ended.code).toBe(1);
    };
    mkdirSync(path.join(folder, 'folder.sqlite'));
    await refused(path.join(folder, 'folder.sqlite'), 'db_is_directory');
    const text = path.join(folder, 'text.sqlite');
    writeFileSync(text, 'this is a text, and quite a long one, so that it is more than a header '.repeat(20));
    await refused(text, 'db_not_sqlite');
    await refused(path.join(folder, 'missing/branch.sqlite'), 'db_unavailable');
    expect((await run('terminal', args('pull'))).code).toBe(0);
    const newer = path.join(folder, 'newer.sqlite');
    copyFileSync(database(), newer);
    const db = new Database(newer);
    db.pragma('user_version = 99');
    db.close();
    await refused(newer, 'db_newer_version');
    const other = path.join(folder, 'other.sqlite');
    copyFileSync(database(), other);
    const another = new Database(other);
    another.exec("UPDATE tidemark_meta SET feed = 'another'");
    // Data without a cursor still counts as data.
    for (const lost of ['epoch = NULL', 'seq = -1']) {
      await refused(other, 'db_other_feed');
      another.exec(`UPDATE tidemark_meta SET ${lost}`);
    }
    await refused(other, 'db_other_feed');
    another.close();
    const held = Replica.open(database(), 'shop');
    await refused(database(), 'db_in_use');
    held.close();
    expect(rows()).toHaveLength(3);
  });

  test('reader-blocks: reports a database that another program only reads as in use, not as being written', async () => {
    await relay.base(3);
    expect((await run('terminal', args('pull'))).code).toBe(0);
    // Without WAL, as after a copy by another program, one reader keeps the terminal from opening the file.
    const reader = new Database(database());
    reader.pragma('journal_mode = DELETE');
    reader.exec('BEGIN');
    expect(reader.prepare('SELECT count(*) FROM item').pluck().get()).toBe(3);
    const ended = await run('terminal', args('pull'));
    reader.close();
    expect(ended.stderr).toMatch(/^db_in_use: Another program keeps the local database .* in use/);
    expect(await run('terminal', args('pull'))).toMatchObject({ code: 0, stderr: '' });
  });

  test('reports a read-only file, whose data remains readable', async () => {
    await relay.base(3);
    expect((await run('terminal', args('pull'))).code).toBe(0);
    // Permissions do not apply to root, so the command runs as another user.
    const asRoot = process.getuid?.() === 0;
    chmodSync(database(), 0o444);
    chmodSync(folder, 0o555);
    if (asRoot) for (const file of [relay.folder, relay.tokenFile('terminal')]) chownSync(file, 65_534, 65_534);
    const child = spawn(process.execPath, [COMMANDS.terminal, ...args('pull')], {
      ...(asRoot ? { uid: 65_534, gid: 65_534 } : {}),
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    const code = await new Promise((resolve) => child.once('close', resolve));
    chmodSync(folder, 0o755);
    expect(said).toContain('db_read_only: ');
    expect(code).toBe(1);
    expect(rows()).toHaveLength(3);
  });

  test.skipIf(process.getuid?.() !== 0)(
    'read-without-write: a user without write permission reads while a terminal runs, and afterwards with immutable=1 only',
    async () => {
      await relay.base(3);
      expect((await run('terminal', args('pull'))).code).toBe(0);
      chmodSync(folder, 0o755);
      chmodSync(database(), 0o644);
      const count = async (address: string) => {
        const code = `const { DatabaseSync } = require('node:sqlite');
          const db = new DatabaseSync(new URL(${JSON.stringify(address)}), { readOnly: true });
          console.log(db.prepare('SELECT count(*) AS n FROM item').get().n);`;
        const child = spawn(process.execPath, ['-e', code], { uid: 65_534, gid: 65_534, cwd: '/' });
        let said = '';
        for (const stream of [child.stdout, child.stderr])
          stream.on('data', (chunk: Buffer) => {
            said += chunk.toString();
          });
        await new Promise((resolve) => child.once('close', resolve));
        return said;
      };
      const address = pathToFileURL(database()).href;
      const held = Replica.open(database(), 'shop');
      expect(await count(address)).toMatch(/^3\n/);
      held.close();
      expect(await count(address)).toContain('readonly database');
      expect(await count(`${address}?immutable=1`)).toMatch(/^3\n/);
    },
  );

  test('leaves unchanged a table of the same name that another program created', async () => {
    await relay.base(3);
    const db = new Database(database());
    db.exec("CREATE TABLE item (mine TEXT); INSERT INTO item VALUES ('mine')");
    db.close();
    const ended = await run('terminal', args('pull'));
    expect(ended.stderr).toMatch(/^name_clash: .*item/);
    const still = new Database(database(), { readonly: true });
    expect(still.prepare('SELECT mine FROM item').pluck().all()).toEqual(['mine']);
    still.close();
  });

  test.skipIf(process.platform === 'win32')(
    'database-is-a-link: pull follows a symbolic link to a file that does not exist yet, and keeps the link',
    async () => {
      await relay.base(3);
      const real = path.join(folder, 'real');
      mkdirSync(real);
      symlinkSync(path.join('real', 'branch.sqlite'), path.join(folder, 'second.sqlite'));
      symlinkSync('second.sqlite', database());
      expect(await run('terminal', args('pull'))).toMatchObject({ code: 0, stderr: '' });
      expect(readlinkSync(database())).toBe('second.sqlite');
      expect(readdirSync(real)).toContain('branch.sqlite');
      expect(rows()).toHaveLength(3);
      // The lock is in the folder of the file itself, so that it applies to every link to the file.
      const held = Replica.open(path.join(real, 'branch.sqlite'), 'shop');
      expect((await run('terminal', args('pull'))).stderr).toMatch(/^db_in_use: /);
      held.close();
    },
  );

  test.each(['verify', 'pull'])(
    'damaged-database: %s reports db_damaged with the remedy, and keeps the file',
    async (command) => {
      await relay.base(5000, (n) => `item ${Math.sin(n)}`);
      expect(await run('terminal', args('pull'))).toMatchObject({ code: 0 });
      // Damage only the pages of the rows. Header and schema remain intact, so that the file can be opened.
      const bytes = readFileSync(database());
      const page = bytes.readUInt16BE(16);
      bytes.fill(0xa5, Math.floor(bytes.length / page / 3) * page);
      writeFileSync(database(), bytes);
      await relay.commit(
        'u',
        Array.from({ length: 5000 }, (_, i) => [i + 1, 'changed']),
      );
      const ended = await run('terminal', args(command));
      expect(ended.stderr).toMatch(/^db_damaged: .*[Ff]resh copy/);
      expect(ended.code).toBe(1);
      expect(readdirSync(folder)).toContain('branch.sqlite');
    },
  );

  test.each(['rows', 'header'])(
    'recopy: downloads a fresh copy on request, and in place of a file with damaged %s, which is kept',
    async (part) => {
      await relay.base(5000, (n) => `item ${Math.sin(n)}`);
      expect(await run('terminal', args('pull'))).toMatchObject({ code: 0 });
      const before = rows();
      const refused = await run('terminal', args('recopy'));
      expect(refused.stderr).toMatch(/^usage: .*--yes/);
      expect(refused.code).toBe(2);

      const asked = await run('terminal', [...args('recopy'), '--yes', '--json']);
      expect(asked).toMatchObject({ code: 0, stderr: '' });
      expect(JSON.parse(asked.stdout)).toMatchObject({ mode: 'recopy', outcome: 'done' });
      expect(rows()).toEqual(before);

      const bytes = readFileSync(database());
      const page = bytes.readUInt16BE(16);
      if (part === 'rows') bytes.fill(0xa5, Math.floor(bytes.length / page / 3) * page);
      else bytes.fill(0xa5, 100, page);
      writeFileSync(database(), bytes);
      const repaired = await run('terminal', [...args('recopy'), '--yes']);
      expect(repaired.stderr).toMatch(/is damaged\. It was renamed to .*\.damaged-/);
      expect(repaired.code).toBe(0);
      expect(rows()).toEqual(before);
      expect(readdirSync(folder).some((name) => name.startsWith('branch.sqlite.damaged-'))).toBe(true);
    },
  );

  test.skipIf(process.platform === 'win32').each([
    ['y', 0],
    ['n', 1],
  ])('recopy: asks in a terminal window, and does as it is answered (%s)', async (answer, code) => {
    await relay.base(3);
    const words = [process.execPath, COMMANDS.terminal, ...args('recopy')].map((word) => `'${word}'`).join(' ');
    const child = spawn('script', ['-qec', words, '/dev/null'], { stdio: ['pipe', 'pipe', 'ignore'] });
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => {
      if (!said.includes('[y/N]') && `${said}${chunk}`.includes('[y/N]')) child.stdin.write(`${answer}\n`);
      said += chunk.toString();
    });
    const ended = await new Promise((resolve) => child.once('close', resolve));
    expect(said).toContain('[y/N]');
    expect(ended).toBe(code);
    expect(said).toContain(code === 0 ? 'Received 3 changes' : 'cancelled: ');
  });
});
