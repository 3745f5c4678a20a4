// @vitest-environment happy-dom
import { act, screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { SCREENS } from '@tidemark/electron/contract/screens';
import { at, PROGRESS } from '@tidemark/testing/facts';
import { expect, test } from 'vitest';
import { renderApp } from '../testing.tsx';
import { Shell } from './shell.tsx';

const SYNCING = { phase: { kind: 'syncing' as const, first: false, progress: PROGRESS } };

test('F5 starts a sync, and Shift+F5 a check', async () => {
  const { called } = renderApp(<Shell />);
  await userEvent.keyboard('{F5}{Shift>}{F5}{/Shift}');
  expect(called('sync.start')).toEqual([{ mode: 'now' }, { mode: 'check' }]);
});

test('Ctrl+F5 asks for confirmation before a comparison', async () => {
  const { called, store } = renderApp(<Shell />);
  await userEvent.keyboard('{Control>}{F5}{/Control}');
  expect(await screen.findByRole('dialog', { name: 'Verify the data of this PC?' })).toBeTruthy();
  expect(called('sync.start')).toEqual([]);
  await userEvent.keyboard('{Escape}');
  expect(store.getState().dialog).toBeNull();
});

test('Ctrl+F5 does nothing while a run is active', async () => {
  const { store } = renderApp(<Shell />, { facts: SYNCING });
  await userEvent.keyboard('{Control>}{F5}{/Control}');
  expect(store.getState().dialog).toBeNull();
});

test('shows the screen or dialog chosen in the menu or the tray', async () => {
  const { sendEvent, store } = renderApp(<Shell />);
  sendEvent('window.show', { screen: 'settings' });
  expect(store.getState().screen).toBe('settings');
  sendEvent('window.open', { dialog: 'verify' });
  expect(store.getState().dialog).toBe('verify');
});

test('F5 does not start a second run', async () => {
  const { called } = renderApp(<Shell />, { facts: SYNCING });
  await userEvent.keyboard('{F5}');
  expect(called('sync.start')).toEqual([]);
});

test('Escape first closes an open dialog, then cancels the run', async () => {
  const { called } = renderApp(<Shell />, { facts: SYNCING });
  await userEvent.keyboard('{F1}');
  expect(await screen.findByRole('dialog', { name: 'Keyboard shortcuts' })).toBeTruthy();
  await userEvent.keyboard('{Escape}');
  expect(called('sync.cancel')).toEqual([]);
  await userEvent.keyboard('{Escape}');
  expect(called('sync.cancel')).toEqual([{}]);
});

test('Escape does nothing without a run', async () => {
  const { called } = renderApp(<Shell />);
  await userEvent.keyboard('{Escape}');
  expect(called('sync.cancel')).toEqual([]);
});

test('each screen opens by its accelerator and by its button on the rail', async () => {
  const { store } = renderApp(<Shell />);
  for (const { id, accelerator } of SCREENS) {
    await userEvent.keyboard(`{Control>}${accelerator.split('+').at(-1)}{/Control}`);
    expect(store.getState().screen).toBe(id);
  }
  for (const { id, label } of SCREENS) {
    await userEvent.click(within(screen.getByRole('navigation')).getByRole('button', { name: label }));
    expect(store.getState().screen).toBe(id);
  }
});

test('the list of shortcuts names every screen', async () => {
  renderApp(<Shell />);
  await userEvent.keyboard('{F1}');
  const list = within(await screen.findByRole('dialog', { name: 'Keyboard shortcuts' }));
  for (const { label } of SCREENS) expect(list.getByText(label)).toBeTruthy();
});

test('? typed into a field does not open the list of shortcuts', async () => {
  const { store } = renderApp(<Shell />);
  act(() => store.getState().show('settings'));
  expect(screen.getByRole('heading', { level: 1, name: 'Settings' })).toBeTruthy();
  await userEvent.type(screen.getByLabelText('This PC'), '?');
  expect(store.getState().dialog).toBeNull();
});

test('the status bar opens the Sync screen', async () => {
  const { store } = renderApp(<Shell />, { facts: { online: false } });
  store.getState().show('settings');
  await userEvent.click(await screen.findByTestId('status-bar'));
  expect(screen.getByTestId('headline').textContent).toBe('This PC is offline');
});

test('a PC that is not set up shows the first-run steps and no numbers', () => {
  renderApp(<Shell />, {
    facts: {
      configured: false,
      probe: null,
      lastRun: null,
      lastSuccess: null,
      replica: {
        cursor: null,
        committedAt: null,
        tables: 0,
        rows: 0,
        setAside: { count: 0, tables: [] },
        log: null,
        fault: null,
      },
    },
  });
  expect(screen.getByTestId('first-run')).toBeTruthy();
  expect(screen.queryByTestId('tile-waiting')).toBeNull();
});

test('lists further problems until the person hides them', async () => {
  renderApp(<Shell />, { facts: { paused: { since: at(0), until: null, by: 'you' }, clockSkewMs: 600_000 } });
  expect(screen.getByTestId('attention-clock')).toBeTruthy();
  await userEvent.click(screen.getByRole('button', { name: 'Hide until it happens again' }));
  expect(screen.queryByTestId('attention-clock')).toBeNull();
});
