import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { expect, test } from './fixtures.ts';
import { set, takePictures } from './pictures.ts';

/** Unusable settings: the app reports them instead of looking like a fresh installation. */

const DAMAGED = '{"relayUrl": "https://relay.hq.example", "feed": "sh';

/** Creates a data folder with this content as its settings file. */
function folderWith(settings: string): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'tidemark-app-'));
  writeFileSync(path.join(folder, 'settings.json'), settings);
  return folder;
}

test('reports a damaged settings file, and keeps it when new settings replace it', async ({ launch }) => {
  const app = await launch(null, folderWith(DAMAGED));
  const file = path.join(app.folder, 'settings.json');
  const banner = app.page.getByTestId('settings-fault-file-damaged');
  await expect(banner).toContainText('The settings of this PC could not be read');
  await expect(banner).toContainText('Data already on this PC is safe');
  await expect(banner).toContainText(file);
  await expect(app.headline).toHaveText('Connect this PC again');
  expect(readFileSync(file, 'utf8')).toBe(DAMAGED);

  await banner.getByRole('button', { name: 'Copy details' }).click();
  await expect
    .poll(() => app.electron.evaluate(({ clipboard }) => clipboard.readText()))
    .toContain(`Fault: file-damaged\nFile: ${file}\nReason: `);

  await takePictures(app, '60-settings-damaged');
  await set(app, { relayUrl: 'http://127.0.0.1:9', feed: 'shop', token: 'a-key' });
  await expect(banner).toHaveCount(0);
  expect(readFileSync(`${file}.invalid`, 'utf8')).toBe(DAMAGED);
  expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ feed: 'shop' });
});

test('asks for the key again when the key store does not return it', async ({ launch }) => {
  const settings = {
    relayUrl: 'http://127.0.0.1:9',
    feed: 'shop',
    centralName: '',
    branchName: 'Branch 7',
    everyMinutes: 0,
    automatic: 'sync',
    theme: 'light',
    token: { store: 'os', value: Buffer.from('sealed by another user').toString('base64') },
    paused: null,
  };
  const app = await launch(null, folderWith(JSON.stringify(settings)));
  await expect(app.page.getByTestId('settings-fault-key-lost')).toBeVisible();
  await expect(app.page.getByRole('textbox', { name: 'Key' })).toBeVisible();
  await takePictures(app, '61-settings-key-lost');
});

test('reports a preset that it refuses', async ({ launch }) => {
  const preset = { relayUrl: 'http://127.0.0.1:9', feed: 'shop', tokenFile: 'none.token' };
  const app = await launch(preset);
  const banner = app.page.getByTestId('settings-fault-preset-refused');
  await expect(banner).toContainText('none.token');
  await takePictures(app, '62-settings-preset-refused');
});

test('key-to-another-server: a new address receives the stored key only after a confirmation', async ({ launch }) => {
  const keys: unknown[] = [];
  const other = http.createServer((request, response) => {
    keys.push(request.headers.authorization);
    response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
  const app = await launch(null);
  await set(app, { relayUrl: 'http://127.0.0.1:9', feed: 'shop', token: 'stored-key' });
  const { page } = app;

  // A call from the page without the confirmation is refused in the main process.
  const reply = await page.evaluate(`window.tidemark.call('settings.set', { relayUrl: ${JSON.stringify(address)} })`);
  expect(JSON.stringify(reply)).toContain('settings_invalid');

  await page.getByRole('button', { name: 'Settings' }).click();
  const field = page.getByLabel('Server address');
  await field.fill(address);
  await field.press('Enter');
  const dialog = page.getByRole('dialog', { name: 'Send the stored key to' });
  await expect(dialog).toContainText('The key of this PC was stored for http://127.0.0.1:9');
  await takePictures(app, '63-settings-new-server');
  await dialog.getByRole('button', { name: 'Keep the old address' }).click();
  await expect(field).toHaveValue('http://127.0.0.1:9');
  // These requests go to the old address, so an answer of the new one would show a key that was sent without consent.
  const check = () => page.evaluate("window.tidemark.call('sync.start', { mode: 'check' })");
  const lastRun = () => page.evaluate("window.tidemark.call('state.get', {}).then((state) => state.value.facts.retry)");
  await check();
  await expect.poll(lastRun).not.toBeNull();
  expect(keys).toEqual([]);

  await field.fill(address);
  await field.press('Enter');
  expect(keys).toEqual([]);
  await dialog.getByRole('button', { name: 'Send the stored key' }).click();
  await expect(dialog).toHaveCount(0);
  await check();
  await expect.poll(() => keys[0]).toBe('Bearer stored-key');
  await new Promise((resolve) => other.close(resolve));
});

test('key-to-another-server: an address that was written into the settings file receives no key', async ({
  launch,
}) => {
  const settings = {
    ...{ relayUrl: 'http://127.0.0.1:10', keyServer: 'http://127.0.0.1:9', feed: 'shop', centralName: '' },
    ...{ branchName: 'Branch 7', everyMinutes: 0, automatic: 'sync', theme: 'light', paused: null },
    token: { store: 'file', value: 'stored-key' },
  };
  const app = await launch(null, folderWith(JSON.stringify(settings)));
  await expect(app.page.getByTestId('settings-fault-key-elsewhere')).toContainText('belongs to another server');
  await expect(app.page.getByRole('textbox', { name: 'Key' })).toBeVisible();
  await takePictures(app, '64-settings-key-elsewhere');
});

test('plain-http: warns about an address that sends the key in plain text', async ({ launch }) => {
  const app = await launch(null);
  await app.page.getByLabel('Server address').fill('http://relay.hq.example:4600');
  await expect(app.page.getByTestId('unencrypted')).toContainText('others on the network can read the key');
  await takePictures(app, '65-first-run-unencrypted');
  await set(app, { relayUrl: 'http://relay.invalid:4600', feed: 'shop', token: 'stored-key' });
  await app.page.getByRole('button', { name: 'Settings' }).click();
  await expect(app.page.getByTestId('unencrypted')).toBeVisible();
  await takePictures(app, '66-settings-unencrypted');
});

test('key-to-another-server: a test of a typed address does not send the stored key there', async ({ launch }) => {
  const keys: unknown[] = [];
  const other = http.createServer((request, response) => {
    keys.push(request.headers.authorization);
    response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  const typed = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
  const app = await launch(null);
  await set(app, { relayUrl: 'http://127.0.0.1:9', feed: 'shop', token: 'stored-key' });
  const testConnection = (input: object) =>
    app.page.evaluate(`window.tidemark.call('connection.test', ${JSON.stringify(input)})`);
  expect(JSON.stringify(await testConnection({ relayUrl: typed, feed: 'shop' }))).toContain('settings_invalid');
  expect(keys).toEqual([]);
  await testConnection({ relayUrl: typed, feed: 'shop', token: 'typed-key' });
  expect(keys).toEqual(['Bearer typed-key']);
  await new Promise((resolve) => other.close(resolve));
});
