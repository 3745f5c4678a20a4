import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { run } from '@tidemark/testing/processes';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { FEED, pull, STOCK, useCleanup, world } from './scopes-lab.ts';

/** Attributes of terminals that change while the relay runs or is down. */

useCleanup();

test('G5 `token set` changes one attribute while the relay runs, and keeps the key and other attributes', async () => {
  const all = await world(9);
  await pull(all, 'nine');
  const set = (name: string, ...pairs: string[]) =>
    run('relay', ['token', 'set', '--config', all.relay.config, '--feed', 'shop', '--name', name, ...pairs]);
  expect(await set('nobody', '--set', 'branch=7')).toMatchObject({ code: 2 });
  expect(await set('nine', '--set', 'branch')).toMatchObject({ code: 2 });
  expect(await set('nine')).toMatchObject({ code: 2, stderr: expect.stringContaining('--unset') });
  expect(await set('nine', '--set', 'branch=7', '--set', 'branch=8')).toEqual({
    code: 0,
    signal: null,
    stdout: 'nine now has {"branch":"7,8"}.\n',
    stderr: expect.stringMatching(
      /^warning: nine has no attribute region, which relay.yaml line 9: feeds.shop.tables.price.where.region asks for.*\n$/,
    ),
  });
  await pull(all, 'nine');
  const db = new Database(all.file('nine'), { readonly: true });
  const found = db.prepare('SELECT sku FROM stock ORDER BY sku').pluck().all();
  db.close();
  const wanted = [...all.master.of(STOCK).values()].filter(([, branch]) => branch === 7 || branch === 8);
  expect(found).toEqual(wanted.map(([sku]) => sku).sort((a, b) => Number(a) - Number(b)));

  expect(await set('nine', '--set', 'region=1.10,1.5')).toMatchObject({
    stderr: 'warning: region=1.10 is compared as a text: for a column of decimals write 1.1\n',
  });
  expect(await set('nine', '--set', 'region=north')).toMatchObject({
    stdout: 'nine now has {"branch":"7,8","region":"north"}.\n',
    stderr: '',
  });
  expect(await set('nine', '--set', 'branch=9')).toMatchObject({
    stdout: 'nine now has {"branch":"9","region":"north"}.\n',
  });
  expect(await set('nine', '--unset', 'regoin')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('nine has no attribute regoin (it has: branch, region)'),
  });
  expect(await set('nine', '--unset', 'region', '--set', 'region=south')).toMatchObject({ code: 2 });
  expect(await set('nine', '--unset', 'region', '--json')).toMatchObject({
    stdout: '{"name":"nine","feed":"shop","attributes":{"branch":"9"}}\n',
  });
});

test('G6 the relay starts although no terminal has an attribute that a filter in use names', async () => {
  const { relay } = await world(10);
  const command = (...args: string[]) => run('relay', ['token', ...args, '--config', relay.config, '--feed', 'shop']);
  expect(await command('revoke', '--name', 'seven')).toMatchObject({ code: 0 });
  expect(await command('set', '--name', 'some', '--unset', 'region')).toMatchObject({ code: 0 });
  await relay.restart(FEED, Date.now());
  const noted = relay.events.filter(({ event }) => event === 'attribute-of-nobody');
  expect(noted).toEqual([{ event: 'attribute-of-nobody', feed: 'shop', detail: expect.stringContaining('line 9') }]);
  expect(noted[0]?.detail).toContain('no terminal has the attribute region (known: branch)');
  // The relay still checks new filters.
  const misspelt = FEED.replace('audit: { where: { branch: $branch }', 'audit: { where: { branch: $brunch }');
  await expect(relay.restart(misspelt, Date.now())).rejects.toThrow('no terminal has the attribute brunch');
  await relay.restart(FEED, Date.now());
  const added = await command('add', '--role', 'terminal', '--name', 'new', '--set', 'region=north');
  expect(added).toMatchObject({ code: 0, stdout: expect.stringMatching(/^tm_\S+\n$/) });
  expect(added.stderr).toContain('new has no attribute branch, which relay.yaml line 8');
  expect(await command('add', '--role', 'feed', '--name', 'office')).toMatchObject({ stderr: '' });
});

test('filter-operator: token commands refuse an operator as an attribute, and --set-text stores the text', async () => {
  const { relay } = await world(11);
  const command = (...args: string[]) => run('relay', ['token', ...args, '--config', relay.config, '--feed', 'shop']);
  const file = () => readFileSync(path.join(relay.folder, 'relay.tokens.json'), 'utf8');
  const before = file();
  const add = (...args: string[]) => command('add', '--role', 'terminal', '--name', 'new', ...args);
  const set = (...args: string[]) => command('set', '--name', 'nine', ...args);
  for (const pair of ['branch=!7', 'branch=>5', 'branch=a*', 'branch=7;8', 'branch='])
    for (const refused of [await add('--set', pair), await set('--set', pair)])
      expect(refused).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(/^usage: .*--set branch: /) });
  expect(file()).toBe(before);
  expect(await set('--set', 'branch=7,8', '--set-text', 'region=!7')).toMatchObject({
    code: 0,
    stdout: 'nine now has {"branch":"7,8","region":"!7"}.\n',
    stderr: '',
  });
});

test('token commands show control characters of the token file and of their arguments as escape sequences', async () => {
  const { relay } = await world(12);
  const command = (...args: string[]) => run('relay', ['token', ...args, '--config', relay.config]);
  const file = path.join(relay.folder, 'relay.tokens.json');
  const hostile = 'x\u001b[2J\u009b31m\u202e';
  const content = JSON.parse(readFileSync(file, 'utf8')) as { tokens: { name: string; attributes: object }[] };
  for (const token of content.tokens) if (token.name === 'nine') token.name = hostile;
  for (const token of content.tokens) if (token.name === 'some') token.attributes = { branch: hostile };
  writeFileSync(file, JSON.stringify(content));
  const list = await command('list');
  expect(list.stdout.match(/x\\+u001b\[2J\\+u009b31m\\+u202e/g)).toHaveLength(2);
  const json = await command('list', '--json');
  expect((JSON.parse(json.stdout) as { name: string }[]).map(({ name }) => name)).toContain(hostile);
  const refused = await command('add', '--role', 'terminal', '--feed', hostile, '--name', 'x');
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('--feed: "x\\u001b[2J') });
  const changed = await command('set', '--feed', 'shop', '--name', hostile, '--set', 'branch=7');
  expect(changed).toMatchObject({ code: 0, stdout: expect.stringMatching(/^x\\u001b\[2J\\u009b31m\\u202e now has/) });
  const option = await command('list', `--${hostile}`);
  expect(option).toMatchObject({ code: 2, stderr: expect.stringContaining('--x\\u001b[2J') });
  for (const { stdout, stderr } of [list, json, refused, changed, option])
    expect(`${stdout}${stderr}`).not.toMatch(/[^\P{C}\n]/u);
  expect(await command('revoke', '--name', hostile)).toMatchObject({ code: 0, stdout: 'Revoked 1.\n' });
});
