// @vitest-environment happy-dom
import { screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { probe } from '@tidemark/testing/facts';
import { expect, test } from 'vitest';
import { renderApp } from '../testing.tsx';
import { FirstRun } from './first-run.tsx';

const EMPTY = { relayUrl: '', feed: '', hasToken: false, tokenStore: 'none' as const, branchName: '' };
const found = { ok: true as const, value: { ok: true as const, status: probe().status, latencyMs: 12 } };
const refused = {
  ok: true as const,
  value: { ok: false as const, fault: { code: 'token_invalid' as const, params: {} } },
};

async function typeConnection() {
  await userEvent.type(screen.getByLabelText('Server address'), 'https://relay.hq.example');
  await userEvent.type(screen.getByLabelText('Data set'), 'shop{Enter}');
}

test('three steps lead to a first sync, and only the last step saves', async () => {
  const { called } = renderApp(<FirstRun />, {
    facts: { configured: false },
    settings: EMPTY,
    answers: { 'connection.test': () => found },
  });
  await typeConnection();
  await userEvent.type(screen.getByLabelText('Key'), 'secret-key{Enter}');
  expect(called('connection.test')).toEqual([
    { relayUrl: 'https://relay.hq.example', feed: 'shop', token: 'secret-key' },
  ]);
  await screen.findByText(/Connected to “HQ-1”/);
  expect(called('settings.set')).toEqual([]);
  await userEvent.type(screen.getByLabelText('Name of this PC'), 'Branch 9');
  await userEvent.click(screen.getByRole('button', { name: 'Start first sync' }));
  expect(called('settings.set')).toEqual([
    { relayUrl: 'https://relay.hq.example', feed: 'shop', branchName: 'Branch 9', token: 'secret-key' },
  ]);
  expect(called('sync.start')).toEqual([{ mode: 'now' }]);
});

test('an invalid address is rejected in the address step', async () => {
  renderApp(<FirstRun />, { facts: { configured: false }, settings: EMPTY });
  await userEvent.type(screen.getByLabelText('Server address'), 'relay.example{Enter}');
  expect(screen.getByText('The address must begin with http:// or https://')).toBeTruthy();
  expect(screen.queryByLabelText('Key')).toBeNull();
});

test('a key that the relay rejects is reported in the key step, and the person can enter another', async () => {
  renderApp(<FirstRun />, {
    facts: { configured: false },
    settings: EMPTY,
    answers: { 'connection.test': () => refused },
  });
  await typeConnection();
  await userEvent.type(screen.getByLabelText('Key'), 'wrong{Enter}');
  expect((await screen.findByTestId('test-failed')).textContent).toContain('The sync server does not accept the key.');
  await userEvent.click(screen.getByRole('button', { name: 'Continue anyway' }));
  expect(screen.getByRole('button', { name: 'Start first sync' })).toBeTruthy();
});

test('keeps the entered text while another screen is shown', async () => {
  const { store } = renderApp(<FirstRun />, { facts: { configured: false }, settings: EMPTY });
  await typeConnection();
  expect(store.getState().draft).toMatchObject({ step: 1, relayUrl: 'https://relay.hq.example', feed: 'shop' });
});

test('shows a failure to save, and starts no sync', async () => {
  const { called } = renderApp(<FirstRun />, {
    facts: { configured: false },
    settings: EMPTY,
    answers: {
      'connection.test': () => found,
      'settings.set': () => ({
        ok: false,
        fault: { code: 'settings_invalid', params: { detail: 'the folder is read-only' } },
      }),
    },
  });
  await typeConnection();
  await userEvent.type(screen.getByLabelText('Key'), 'secret-key{Enter}');
  await userEvent.click(await screen.findByRole('button', { name: 'Start first sync' }));
  expect((await screen.findByRole('alert')).textContent).toContain('the folder is read-only');
  expect(called('sync.start')).toEqual([]);
});

test('a PC that lost only its key starts at the key step, with its connection filled in', async () => {
  const { called } = renderApp(<FirstRun />, {
    facts: { configured: false },
    settings: { hasToken: false, tokenStore: 'os' },
    settingsFaults: [{ kind: 'key-lost', file: '/data/settings.json', reason: 'decryption failed' }],
    answers: { 'connection.test': () => found },
  });
  expect(screen.getByTestId('headline').textContent).toBe('Connect this PC again');
  await userEvent.type(screen.getByLabelText('Key'), 'secret-key{Enter}');
  expect(called('connection.test')).toEqual([
    { relayUrl: 'https://relay.hq.example', feed: 'shop', token: 'secret-key' },
  ]);
});

test('plain-http: warns in the address step, and lets the person continue', async () => {
  renderApp(<FirstRun />, { facts: { configured: false }, settings: EMPTY });
  await userEvent.type(screen.getByLabelText('Server address'), 'http://10.0.0.7:4600');
  expect(screen.getByTestId('unencrypted').textContent).toContain('others on the network can read the key');
  await userEvent.type(screen.getByLabelText('Data set'), 'shop{Enter}');
  expect(screen.getByLabelText('Key')).toBeTruthy();
});

test('key-to-another-server: the key step asks for a key if the stored one belongs to another server', async () => {
  const { called } = renderApp(<FirstRun />, {
    facts: { configured: false },
    settings: { relayUrl: '', feed: '' },
    answers: { 'connection.test': () => found },
  });
  await userEvent.type(screen.getByLabelText('Server address'), 'https://other.example');
  await userEvent.type(screen.getByLabelText('Data set'), 'shop{Enter}');
  await userEvent.click(screen.getByRole('button', { name: 'Test and continue' }));
  expect(screen.getByText('Paste the key you got from your administrator')).toBeTruthy();
  expect(called('connection.test')).toEqual([]);
});
