// @vitest-environment happy-dom
import { screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { probe } from '@tidemark/testing/facts';
import { expect, test } from 'vitest';
import { renderApp } from '../testing.tsx';
import { tokenProblem } from './check-input.ts';
import { keyStoreText } from './key-setting.tsx';
import { SettingsScreen } from './settings-screen.tsx';

const retype = async (label: string, text: string) => {
  const field = screen.getByLabelText(label);
  await userEvent.clear(field);
  await userEvent.type(field, text);
};

test('does not save an invalid address, and shows the one still in use', async () => {
  const { called, store } = renderApp(<SettingsScreen />);
  await retype('Server address', 'relay.example{Enter}');
  expect(screen.getByText(/The address must begin with http/).textContent).toContain(
    'Still in use: https://relay.hq.example',
  );
  expect(called('settings.set')).toEqual([]);
  expect(store.getState().app?.settings.relayUrl).toBe('https://relay.hq.example');
});

test('saves a text when its field loses the focus', async () => {
  const { called } = renderApp(<SettingsScreen />);
  await retype('This PC', ' Branch 9 ');
  expect(called('settings.set')).toEqual([]);
  await userEvent.tab();
  expect(called('settings.set')).toEqual([{ branchName: 'Branch 9' }]);
});

test('does not save an unchanged text', async () => {
  const { called } = renderApp(<SettingsScreen />);
  await userEvent.click(screen.getByLabelText('Data set'));
  await userEvent.tab();
  expect(called('settings.set')).toEqual([]);
});

test('Escape restores the saved text', async () => {
  const { called } = renderApp(<SettingsScreen />);
  await retype('Data set', 'other{Escape}');
  expect(screen.getByLabelText('Data set')).toHaveProperty('value', 'shop');
  await userEvent.tab();
  expect(called('settings.set')).toEqual([]);
});

test('shows beside the field why the app rejected a value', async () => {
  renderApp(<SettingsScreen />, {
    answers: {
      'settings.set': () => ({ ok: false, fault: { code: 'settings_invalid', params: { detail: 'no such feed' } } }),
    },
  });
  await retype('Data set', 'other{Enter}');
  expect((await screen.findByText(/no such feed/)).textContent).toContain('Still in use: shop');
});

test('applies a new interval immediately', async () => {
  const { called, store } = renderApp(<SettingsScreen />);
  await userEvent.click(screen.getByRole('radio', { name: '15 min' }));
  expect(called('settings.set')).toEqual([{ everyMinutes: 15 }]);
  await waitFor(() => expect(store.getState().app?.settings.everyMinutes).toBe(15));
});

test('removes a saved key from the page', async () => {
  const { called } = renderApp(<SettingsScreen />);
  const field = screen.getByLabelText('Key');
  await userEvent.type(field, 'new-secret');
  await userEvent.click(screen.getByRole('button', { name: 'Save key' }));
  expect(called('settings.set')).toEqual([{ token: 'new-secret' }]);
  await waitFor(() => expect(field).toHaveProperty('value', ''));
  expect(document.body.innerHTML).not.toContain('new-secret');
});

test('shows where the key is stored, even if that is a plain file', () => {
  expect(keyStoreText({ hasToken: true, tokenStore: 'os' })).toContain('encrypted by the operating system');
  expect(keyStoreText({ hasToken: true, tokenStore: 'file' })).toContain('only your user account can read');
  expect(keyStoreText({ hasToken: false, tokenStore: 'none' })).toBe('No key is stored.');
});

test('a connection test uses the entered values, saved or not', async () => {
  const { called } = renderApp(<SettingsScreen />, {
    answers: {
      'connection.test': () => ({ ok: true, value: { ok: true, status: probe().status, latencyMs: 12.4 } }),
      'settings.set': () => ({ ok: false, fault: { code: 'settings_invalid', params: { detail: 'x' } } }),
    },
  });
  await retype('Data set', 'other');
  await userEvent.click(screen.getByRole('button', { name: 'Test connection' }));
  expect(called('connection.test')).toEqual([{ relayUrl: 'https://relay.hq.example', feed: 'other' }]);
  expect((await screen.findByTestId('test-ok')).textContent).toContain('Connected to “HQ-1”, version 0.1.0, in 12 ms');
});

test('a failed connection test shows the remedy', async () => {
  renderApp(<SettingsScreen />, {
    answers: {
      'connection.test': () => ({
        ok: true,
        value: { ok: false, fault: { code: 'feed_unknown', params: { feed: 'shop' } } },
      }),
    },
  });
  await userEvent.click(screen.getByRole('button', { name: 'Test connection' }));
  expect((await screen.findByTestId('test-failed')).textContent).toContain(
    'The sync server has no data set named shop. Check the name of the data set.',
  );
});

test('rejects a pasted key that contains a line break', () => {
  expect(tokenProblem('abc\ndef')).toContain('no spaces');
  expect(tokenProblem(' abc\n')).toBeNull();
});

test('plain-http: warns beside an address that sends the key in plain text, while it is typed', async () => {
  renderApp(<SettingsScreen />, { settings: { relayUrl: 'http://127.0.0.1:4600' } });
  expect(screen.queryByTestId('unencrypted')).toBeNull();
  await retype('Server address', 'http://relay.hq.example');
  expect(screen.getByTestId('unencrypted').textContent).toContain('Use an address that begins with https://');
  await retype('Server address', 'https://relay.hq.example');
  expect(screen.queryByTestId('unencrypted')).toBeNull();
});

test('plain-http: warns about the address in use', () => {
  renderApp(<SettingsScreen />, { settings: { relayUrl: 'http://relay.hq.example' } });
  expect(screen.getByTestId('unencrypted')).toBeTruthy();
});

test('key-to-another-server: asks before an address is saved to which the stored key would be sent', async () => {
  const { called } = renderApp(<SettingsScreen />);
  await retype('Server address', 'https://other.example/path{Enter}');
  const dialog = within(await screen.findByRole('dialog', { name: 'Send the stored key to other.example?' }));
  expect(called('settings.set')).toEqual([]);
  await userEvent.click(dialog.getByRole('button', { name: 'Keep the old address' }));
  expect(screen.queryByRole('dialog')).toBeNull();
  expect(screen.getByLabelText('Server address')).toHaveProperty('value', 'https://relay.hq.example');
  expect(called('settings.set')).toEqual([]);

  await retype('Server address', 'https://other.example/path{Enter}');
  await userEvent.click(await screen.findByRole('button', { name: 'Send the stored key' }));
  expect(called('settings.set')).toEqual([
    { relayUrl: 'https://other.example/path', sendKeyTo: 'https://other.example' },
  ]);
  await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull());
});

test('key-to-another-server: saves the address with the key that the person enters for it', async () => {
  const { called } = renderApp(<SettingsScreen />);
  await retype('Server address', 'http://other.example{Enter}');
  const dialog = within(await screen.findByRole('dialog'));
  expect(dialog.getByTestId('unencrypted')).toBeTruthy();
  await userEvent.type(dialog.getByLabelText('Key for other.example'), 'its-key');
  await userEvent.click(dialog.getByRole('button', { name: 'Use this key' }));
  expect(called('settings.set')).toEqual([{ relayUrl: 'http://other.example', token: 'its-key' }]);
});

test('key-to-another-server: a key that was entered before the address is saved with it, without a question', async () => {
  const { called } = renderApp(<SettingsScreen />);
  await userEvent.type(screen.getByLabelText('Key'), 'its-key');
  await retype('Server address', 'https://other.example{Enter}');
  expect(called('settings.set')).toEqual([{ relayUrl: 'https://other.example', token: 'its-key' }]);
  await waitFor(() => expect(screen.getByLabelText('Key')).toHaveProperty('value', ''));
});

test('another path of the same server is saved without a question', async () => {
  const { called } = renderApp(<SettingsScreen />);
  await retype('Server address', 'https://relay.hq.example/tidemark{Enter}');
  expect(called('settings.set')).toEqual([{ relayUrl: 'https://relay.hq.example/tidemark' }]);
});
