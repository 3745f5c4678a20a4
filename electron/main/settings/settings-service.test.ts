import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SettingsService } from './settings-service.ts';
import type { TokenStore } from './token-store.ts';

/** A key store whose encrypted form differs from the key. */
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
const DAMAGED = '{"relayUrl": ';
const SET = { relayUrl: 'https://relay.example', feed: 'shop', token: 'secret-key' };

test('a missing settings file yields the defaults and no fault', async () => {
  const settings = await open();
  expect(settings.faults).toEqual([]);
  expect(settings.get()).toMatchObject({ relayUrl: '', hasToken: false, tokenStore: 'none', databasePath: '' });
  expect(settings.agentConfig()).toBeNull();
});

test('settings survive a restart; the key is stored encrypted, in a file that only its user can read', async () => {
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
])('rejects the invalid change %j, names its field and changes nothing', async (change, field) => {
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

test('removes a trailing slash from the address', async () => {
  expect((await (await open()).change({ relayUrl: 'http://10.0.0.7:4600/' })).relayUrl).toBe('http://10.0.0.7:4600');
});

describe('a damaged settings file', () => {
  test('reports a damaged file with its path and reason, and leaves it unchanged at start', async () => {
    await writeFile(file(), DAMAGED);
    const settings = await open();
    expect(settings.faults).toEqual([{ kind: 'file-damaged', file: file(), reason: expect.stringContaining('JSON') }]);
    expect(await readFile(file(), 'utf8')).toBe(DAMAGED);
  });

  test('renames a damaged file when new settings replace it', async () => {
    await writeFile(file(), DAMAGED);
    const settings = await open();
    await settings.change(SET);
    expect(settings.faults).toEqual([]);
    expect(await readFile(`${file()}.invalid`, 'utf8')).toBe(DAMAGED);
    expect((await open()).get()).toMatchObject({ feed: 'shop' });
  });

  test('does not overwrite a damaged file that was renamed earlier', async () => {
    for (const content of [DAMAGED, '[]']) {
      await writeFile(file(), content);
      await (await open()).change(SET);
    }
    expect((await readdir(folder)).sort()).toEqual([
      'replicas',
      'settings.json',
      'settings.json.invalid',
      'settings.json.invalid-2',
    ]);
    expect(await readFile(`${file()}.invalid`, 'utf8')).toBe(DAMAGED);
    expect(await readFile(`${file()}.invalid-2`, 'utf8')).toBe('[]');
  });

  test('reports a damaged file until the PC is connected again', async () => {
    await writeFile(file(), DAMAGED);
    const settings = await open();
    await settings.change({ theme: 'dark' });
    expect(settings.faults).toHaveLength(1);
    await settings.change(SET);
    expect(settings.faults).toEqual([]);
  });

  test('does not apply a preset while the settings file is damaged', async () => {
    await writeFile(file(), DAMAGED);
    const preset = path.join(folder, 'preset.json');
    await writeFile(preset, JSON.stringify({ relayUrl: 'http://127.0.0.1:4600', feed: 'shop' }));
    const settings = await open();
    await settings.applyPreset(preset);
    expect(settings.get().feed).toBe('');
    expect(settings.faults.map(({ kind }) => kind)).toEqual(['file-damaged']);
  });
});

test('reports every invalid field and uses its default; the other fields keep their values', async () => {
  await (await open()).change(SET);
  const stored = JSON.parse(await readFile(file(), 'utf8'));
  await writeFile(file(), JSON.stringify({ ...stored, relayUrl: 'nowhere', everyMinutes: 7, theme: 'pink' }));
  const settings = await open();
  expect(settings.faults).toMatchObject([{ kind: 'fields-invalid', file: file() }]);
  for (const field of ['relayUrl', 'everyMinutes', 'theme']) expect(settings.faults[0]?.reason).toContain(field);
  expect(settings.get()).toMatchObject({ feed: 'shop', hasToken: true, everyMinutes: 0, theme: 'system' });
});

test('reports an unreadable key until a new key is saved, and keeps the other settings', async () => {
  await (await open()).change(SET);
  const stored = JSON.parse(await readFile(file(), 'utf8'));
  await writeFile(file(), JSON.stringify({ ...stored, token: { store: 'os', value: 'locked' } }));
  const settings = await open();
  expect(settings.faults).toEqual([{ kind: 'key-lost', file: file(), reason: 'locked' }]);
  expect(settings.get()).toMatchObject({ feed: 'shop', hasToken: false });
  expect(settings.agentConfig()).toBeNull();
  await settings.change({ branchName: 'Branch 7' });
  expect(settings.faults).toHaveLength(1);
  await settings.change({ token: 'new-key' });
  expect(settings.faults).toEqual([]);
  expect((await open()).agentConfig()).toMatchObject({ feed: 'shop', token: 'new-key' });
});

test('concurrent changes do not overwrite each other', async () => {
  const settings = await open();
  await Promise.all([
    settings.change({ feed: 'shop' }),
    settings.change({ theme: 'dark' }),
    settings.change({ branchName: 'Branch 7' }),
  ]);
  expect((await open()).get()).toMatchObject({ feed: 'shop', theme: 'dark', branchName: 'Branch 7' });
});

test('gives the stored key for a test of the stored server only', async () => {
  const settings = await open();
  expect(() => settings.tokenFor('https://relay.example')).toThrow(expect.objectContaining({ code: 'not_configured' }));
  await settings.change(SET);
  expect(settings.tokenFor('https://relay.example')).toBe('secret-key');
  expect(settings.tokenFor('https://relay.example/shop')).toBe('secret-key');
  for (const other of ['http://relay.example', 'https://relay.example:8443', 'https://relay.example.evil.test'])
    expect(() => settings.tokenFor(other), other).toThrow(expect.objectContaining({ code: 'settings_invalid' }));
});

describe('key-to-another-server', () => {
  const OTHER = { relayUrl: 'https://other.example' };
  const refused = { code: 'settings_invalid', params: { detail: expect.stringContaining('https://relay.example') } };

  test('a new address without a new key or a confirmation is refused and changes nothing', async () => {
    const settings = await open();
    await settings.change(SET);
    const before = await readFile(file(), 'utf8');
    for (const change of [
      OTHER,
      { ...OTHER, sendKeyTo: 'https://relay.example' },
      { ...OTHER, sendKeyTo: 'https://other.example:8443' },
      { ...OTHER, sendKeyTo: '' },
      { ...OTHER, feed: 'shop', sendKeyTo: 'http://other.example' },
      { relayUrl: 'https://relay.example:8443' },
      { relayUrl: 'http://relay.example' },
    ])
      await expect(settings.change(change), JSON.stringify(change)).rejects.toMatchObject(refused);
    expect(settings.agentConfig()).toMatchObject({ relayUrl: 'https://relay.example', token: 'secret-key' });
    expect(await readFile(file(), 'utf8')).toBe(before);
  });

  test('a confirmation for the new server, or a new key, saves the address and outlives a restart', async () => {
    const settings = await open();
    await settings.change(SET);
    await settings.change({ ...OTHER, sendKeyTo: 'https://other.example' });
    expect((await open()).agentConfig()).toMatchObject({
      ...OTHER,
      keyServer: 'https://other.example',
      token: 'secret-key',
    });
    expect(settings.tokenFor('https://other.example')).toBe('secret-key');
    expect(() => settings.tokenFor('https://relay.example')).toThrow(
      expect.objectContaining({ code: 'settings_invalid' }),
    );
    await settings.change({ relayUrl: 'https://third.example', token: 'third-key' });
    expect((await open()).agentConfig()).toMatchObject({ keyServer: 'https://third.example', token: 'third-key' });
  });

  test('a detour over an empty address does not move the key', async () => {
    const settings = await open();
    await settings.change(SET);
    await settings.change({ relayUrl: '' });
    expect(settings.agentConfig()).toBeNull();
    await expect(settings.change(OTHER)).rejects.toMatchObject(refused);
    await settings.change({ relayUrl: 'https://relay.example/path' });
    expect(settings.agentConfig()).toMatchObject({ token: 'secret-key' });
  });

  test('another path, and https instead of http without a port, need no confirmation', async () => {
    const settings = await open();
    await settings.change({ ...SET, relayUrl: 'http://relay.example' });
    for (const relayUrl of ['http://relay.example/path', 'https://relay.example/path']) {
      await settings.change({ relayUrl });
      expect(settings.agentConfig()).toMatchObject({ relayUrl, keyServer: new URL(relayUrl).origin });
    }
    await expect(settings.change({ relayUrl: 'http://relay.example' })).rejects.toMatchObject(refused);
  });

  test('an address that another program wrote into the settings file does not receive the key', async () => {
    await (await open()).change(SET);
    const stored = JSON.parse(await readFile(file(), 'utf8'));
    await writeFile(file(), JSON.stringify({ ...stored, ...OTHER }));
    const settings = await open();
    expect(settings.faults).toMatchObject([{ kind: 'key-elsewhere', file: file() }]);
    expect(settings.get()).toMatchObject({ ...OTHER, hasToken: false });
    expect(settings.agentConfig()).toBeNull();
    await settings.change({ theme: 'dark' });
    expect(settings.faults).toHaveLength(1);
    await settings.change({ token: 'other-key' });
    expect(settings.faults).toEqual([]);
    expect(settings.agentConfig()).toMatchObject({ ...OTHER, token: 'other-key' });
  });

  test('a settings file of an older version, without the server of its key, stays valid', async () => {
    await (await open()).change(SET);
    const { keyServer, ...older } = JSON.parse(await readFile(file(), 'utf8'));
    expect(keyServer).toBe('https://relay.example');
    await writeFile(file(), JSON.stringify(older));
    const settings = await open();
    expect(settings.faults).toEqual([]);
    expect(settings.agentConfig()).toMatchObject({ token: 'secret-key', keyServer: 'https://relay.example' });
    await expect(settings.change(OTHER)).rejects.toMatchObject(refused);
  });

  test('a preset cannot confirm another server', async () => {
    const preset = path.join(folder, 'preset.json');
    await writeFile(preset, JSON.stringify({ ...OTHER, feed: 'shop', sendKeyTo: 'https://other.example' }));
    const settings = await open();
    await settings.applyPreset(preset);
    expect(settings.faults).toMatchObject([{ kind: 'preset-refused', reason: expect.stringContaining('sendKeyTo') }]);
  });
});

describe('a preset', () => {
  const preset = () => path.join(folder, 'preset.json');

  test('applies a preset once', async () => {
    await writeFile(path.join(folder, 'branch.token'), 'secret-key\n');
    const prepared = {
      relayUrl: 'http://127.0.0.1:4600',
      feed: 'shop',
      tokenFile: 'branch.token',
      branchName: 'Branch 7',
    };
    await writeFile(preset(), JSON.stringify(prepared));
    const settings = await open();
    await settings.applyPreset(preset());
    expect(settings.agentConfig()).toMatchObject({
      relayUrl: 'http://127.0.0.1:4600',
      token: 'secret-key',
      branchName: 'Branch 7',
    });

    await settings.change({ branchName: 'Mine' });
    await settings.applyPreset(preset());
    expect(settings.get().branchName).toBe('Mine');
  });

  test.each([
    ['an unknown field', { relay: 'http://127.0.0.1:4600' }, 'relay'],
    ['a name that is too long', { feed: 'shop', branchName: 'x'.repeat(61) }, 'branchName'],
    ['an invalid address', { relayUrl: 'nowhere', feed: 'shop' }, 'relayUrl'],
    ['a missing key file', { feed: 'shop', tokenFile: 'none.token' }, 'none.token'],
  ])('rejects and reports a preset with %s', async (_, prepared, named) => {
    await writeFile(preset(), JSON.stringify(prepared));
    const settings = await open();
    await settings.applyPreset(preset());
    expect(settings.faults).toEqual([
      { kind: 'preset-refused', file: preset(), reason: expect.stringContaining(named) },
    ]);
    expect(settings.get()).toMatchObject({ relayUrl: '', feed: '', branchName: '' });
  });
});
