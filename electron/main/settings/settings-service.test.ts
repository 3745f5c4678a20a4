import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SettingsService } from './settings-service.ts';
import type { TokenStore } from './token-store.ts';

/** As on a PC with a key store: what is kept is not the key itself. */
const tokens: TokenStore = {
  seal: async (token) => ({ store: 'os', value: Buffer.from(token).toString('hex') }),
  open: async ({ value }) => {
    if (value === 'locked') throw new Error('locked');
    return Buffer.from(value, 'hex').toString();
  },
};

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'tidemark-settings-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const open = () => SettingsService.open({ folder, tokens });
const file = () => path.join(folder, 'settings.json');
const SET = { relayUrl: 'https://relay.example', feed: 'shop', token: 'secret-key' };

test('nothing set: defaults, no fault, nothing for the engine', async () => {
  const settings = await open();
  expect(settings.fault).toBeNull();
  expect(settings.get()).toMatchObject({ relayUrl: '', hasToken: false, tokenStore: 'none', databasePath: '' });
  expect(settings.agentConfig()).toBeNull();
});

test('what is set is there after a restart; the key is kept sealed, and only for its user', async () => {
  await (await open()).change(SET);
  const settings = await open();
  expect(settings.get()).toMatchObject({ relayUrl: 'https://relay.example', hasToken: true, tokenStore: 'os' });
  expect(settings.agentConfig()).toMatchObject({
    token: 'secret-key',
    databasePath: path.join(folder, 'replicas', 'shop.sqlite'),
  });
  expect(JSON.stringify(settings.get())).not.toContain('secret-key');
  expect(await readFile(file(), 'utf8')).not.toContain('secret-key');
  expect((await stat(file())).mode & 0o077).toBe(0);
});

test.each([
  [{ relayUrl: 'relay.example' }, 'relayUrl'],
  [{ relayUrl: 'ftp://relay.example' }, 'relayUrl'],
  [{ relayUrl: 'https://me:pass@relay.example' }, 'relayUrl'],
  [{ feed: 'Shop!' }, 'feed'],
])('an invalid change %j names its field and changes nothing', async (change, field) => {
  const settings = await open();
  await settings.change(SET);
  const before = await readFile(file(), 'utf8');
  await expect(settings.change(change)).rejects.toMatchObject({
    code: 'settings_invalid',
    params: { detail: expect.stringContaining(field) },
  });
  expect(settings.get()).toMatchObject({ relayUrl: 'https://relay.example', feed: 'shop' });
  expect(await readFile(file(), 'utf8')).toBe(before);
});

test('a pause outlives a restart and a change of settings, and is stored as text', async () => {
  const paused = { since: Date.UTC(2026, 10, 23, 10, 42), until: Date.UTC(2026, 10, 24), by: 'you' };
  const first = await open();
  await first.change(SET);
  await first.keepPaused(paused);
  await first.change({ theme: 'dark' });
  expect((await open()).agentConfig()).toMatchObject({ paused });
  expect(JSON.parse(await readFile(file(), 'utf8'))).toMatchObject({
    theme: 'dark',
    paused: { since: '2026-11-23T10:42:00.000Z', until: '2026-11-24T00:00:00.000Z', by: 'you' },
  });
});

test('a slash at the end of the address is dropped', async () => {
  expect((await (await open()).change({ relayUrl: 'http://10.0.0.7:4600/' })).relayUrl).toBe('http://10.0.0.7:4600');
});

test('a damaged file is named, not overwritten at start, and kept beside the next', async () => {
  await writeFile(file(), '{"relayUrl": ');
  const settings = await open();
  expect(settings.fault).toMatchObject({ code: 'settings_invalid' });
  expect(await readFile(file(), 'utf8')).toBe('{"relayUrl": ');
  await settings.change(SET);
  expect(settings.fault).toBeNull();
  expect((await readdir(folder)).sort()).toEqual(['replicas', 'settings.json', 'settings.json.invalid']);
});

test('a file with three mistakes: all three are named, the rest is used', async () => {
  await (await open()).change(SET);
  const stored = JSON.parse(await readFile(file(), 'utf8'));
  await writeFile(file(), JSON.stringify({ ...stored, relayUrl: 'nowhere', everyMinutes: 7, theme: 'pink' }));
  const settings = await open();
  for (const field of ['relayUrl', 'everyMinutes', 'theme']) expect(settings.fault?.params.detail).toContain(field);
  expect(settings.get()).toMatchObject({ feed: 'shop', hasToken: true, everyMinutes: 0, theme: 'system' });
});

test('a key that the key store does not give back is asked for again, and the rest stays', async () => {
  await (await open()).change(SET);
  const stored = JSON.parse(await readFile(file(), 'utf8'));
  await writeFile(file(), JSON.stringify({ ...stored, token: { store: 'os', value: 'locked' } }));
  const settings = await open();
  expect(settings.fault?.params.detail).toContain('key store');
  expect(settings.get()).toMatchObject({ feed: 'shop', hasToken: false });
  expect(settings.agentConfig()).toBeNull();
});

test('changes that come together are all kept', async () => {
  const settings = await open();
  await Promise.all([
    settings.change({ feed: 'shop' }),
    settings.change({ theme: 'dark' }),
    settings.change({ branchName: 'Branch 7' }),
  ]);
  expect((await open()).get()).toMatchObject({ feed: 'shop', theme: 'dark', branchName: 'Branch 7' });
});

test('a preset is taken once, and one that is wrong is named', async () => {
  const preset = path.join(folder, 'preset.json');
  await writeFile(path.join(folder, 'branch.token'), 'secret-key\n');
  await writeFile(
    preset,
    JSON.stringify({
      relayUrl: 'http://127.0.0.1:4600',
      feed: 'shop',
      tokenFile: 'branch.token',
      branchName: 'Branch 7',
    }),
  );
  const settings = await open();
  await settings.takePreset(preset);
  expect(settings.agentConfig()).toMatchObject({
    relayUrl: 'http://127.0.0.1:4600',
    token: 'secret-key',
    branchName: 'Branch 7',
  });

  await settings.change({ branchName: 'Mine' });
  await settings.takePreset(preset);
  expect(settings.get().branchName).toBe('Mine');

  await rm(file());
  await writeFile(preset, JSON.stringify({ relay: 'http://127.0.0.1:4600' }));
  const wrong = await open();
  await wrong.takePreset(preset);
  expect(wrong.fault?.params.detail).toContain('relay');
  expect(wrong.get().relayUrl).toBe('');
});
