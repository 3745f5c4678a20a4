// @vitest-environment happy-dom
import { screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { at, PROGRESS } from '@tidemark/testing/facts';
import { expect, test } from 'vitest';
import { renderApp } from '../testing.tsx';
import { Shell } from './shell.tsx';

const SYNCING = { phase: { kind: 'syncing' as const, first: false, progress: PROGRESS } };

test('F5 syncs and Shift+F5 only checks', async () => {
  const { called } = renderApp(<Shell />);
  await userEvent.keyboard('{F5}{Shift>}{F5}{/Shift}');
  expect(called('sync.start')).toEqual([{ mode: 'now' }, { mode: 'check' }]);
});

test('Ctrl+F5 asks before it verifies', async () => {
  const { called, store } = renderApp(<Shell />);
  await userEvent.keyboard('{Control>}{F5}{/Control}');
  expect(await screen.findByRole('dialog', { name: 'Verify the data of this PC?' })).toBeTruthy();
  expect(called('sync.start')).toEqual([]);
  await userEvent.keyboard('{Escape}');
  expect(store.getState().dialog).toBeNull();
});

test('while a run is under way, Ctrl+F5 asks nothing', async () => {
  const { store } = renderApp(<Shell />, { facts: SYNCING });
  await userEvent.keyboard('{Control>}{F5}{/Control}');
  expect(store.getState().dialog).toBeNull();
});

test('what is chosen in the menu or the tray is shown', async () => {
  const { tell, store } = renderApp(<Shell />);
  tell('window.show', { screen: 'settings' });
  expect(store.getState().screen).toBe('settings');
  tell('window.show', { screen: 'verify' });
  expect(store.getState().dialog).toBe('verify');
});

test('F5 starts no second run', async () => {
  const { called } = renderApp(<Shell />, { facts: SYNCING });
  await userEvent.keyboard('{F5}');
  expect(called('sync.start')).toEqual([]);
});

test('Escape cancels a run, but first closes what is open', async () => {
  const { called } = renderApp(<Shell />, { facts: SYNCING });
  await userEvent.keyboard('{F1}');
  expect(await screen.findByRole('dialog', { name: 'Keyboard shortcuts' })).toBeTruthy();
  await userEvent.keyboard('{Escape}');
  expect(called('sync.cancel')).toEqual([]);
  await userEvent.keyboard('{Escape}');
  expect(called('sync.cancel')).toEqual([{}]);
});

test('Escape does nothing when nothing runs', async () => {
  const { called } = renderApp(<Shell />);
  await userEvent.keyboard('{Escape}');
  expect(called('sync.cancel')).toEqual([]);
});

test('Ctrl+1..3 and the rail lead to the screens', async () => {
  renderApp(<Shell />);
  await userEvent.keyboard('{Control>}2{/Control}');
  expect(screen.getByRole('heading', { level: 1, name: 'Activity' })).toBeTruthy();
  await userEvent.keyboard('{Control>}3{/Control}');
  expect(screen.getByRole('heading', { level: 1, name: 'Settings' })).toBeTruthy();
  await userEvent.click(screen.getByRole('button', { name: 'Sync' }));
  expect(screen.getByTestId('status-card')).toBeTruthy();
});

test('? typed into a field is a question mark', async () => {
  const { store } = renderApp(<Shell />);
  await userEvent.keyboard('{Control>}3{/Control}');
  await userEvent.type(screen.getByLabelText('This PC'), '?');
  expect(store.getState().dialog).toBeNull();
});

test('the status bar leads back to the sync screen', async () => {
  const { store } = renderApp(<Shell />, { facts: { online: false } });
  store.getState().show('settings');
  await userEvent.click(await screen.findByTestId('status-bar'));
  expect(screen.getByTestId('headline').textContent).toBe('This PC is offline');
});

test('a PC that is not set up shows the way in, and no numbers', () => {
  renderApp(<Shell />, {
    facts: {
      configured: false,
      probe: null,
      lastRun: null,
      lastSuccess: null,
      replica: { cursor: null, committedAt: null, tables: 0, rows: 0, fault: null },
    },
  });
  expect(screen.getByTestId('first-run')).toBeTruthy();
  expect(screen.queryByTestId('tile-waiting')).toBeNull();
});

test('what is wrong besides is listed until it is hidden', async () => {
  renderApp(<Shell />, { facts: { paused: { since: at(0), until: null, by: 'you' }, clockSkewMs: 600_000 } });
  expect(screen.getByTestId('attention-clock')).toBeTruthy();
  await userEvent.click(screen.getByRole('button', { name: 'Hide until it happens again' }));
  expect(screen.queryByTestId('attention-clock')).toBeNull();
});
