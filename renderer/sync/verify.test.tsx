// @vitest-environment happy-dom
import { cleanNotifications, Notifications } from '@mantine/notifications';
import { act, screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import type { Run } from '@tidemark/protocol/run';
import type { Facts } from '@tidemark/status/facts';
import { at, facts, failedRun, PROGRESS, RUN } from '@tidemark/testing/facts';
import { beforeEach, expect, test } from 'vitest';
import { Shell } from '../shell/shell.tsx';
import { renderApp } from '../testing.tsx';

// Notifications survive the end of a test, because their store is global.
beforeEach(() => cleanNotifications());

const VERIFY: Run = {
  ...RUN,
  id: 'verify-1',
  endedAt: at(0),
  mode: 'verify',
  outcome: 'nothing-new',
  inserted: 0,
  updated: 0,
  deleted: 0,
  tables: [],
  compared: { rows: 200_000, tables: 6 },
};
const REPAIRED: Run = {
  ...VERIFY,
  outcome: 'done',
  differences: [{ table: 'orders', missing: 3, extra: 0, different: 2 }],
};
const NO_DATA = {
  cursor: null,
  committedAt: null,
  tables: 0,
  rows: 0,
  setAside: { count: 0, tables: [] },
  log: null,
  fault: null,
};

const renderShell = (change: Partial<Facts> = {}) =>
  renderApp(
    <>
      <Notifications />
      <Shell />
    </>,
    { facts: change },
  );

test('the menu explains a comparison before it starts one', async () => {
  const { called } = renderShell();
  await userEvent.click(screen.getByTestId('more'));
  await userEvent.click(screen.getByRole('menuitem', { name: /Verify data…/ }));
  const dialog = await screen.findByRole('dialog', { name: 'Verify the data of this PC?' });
  expect(dialog.textContent).toContain('Compares every table with the server (200,000 rows in 6 tables)');
  expect(called('sync.start')).toEqual([]);
  await userEvent.click(within(dialog).getByRole('button', { name: 'Verify data' }));
  expect(called('sync.start')).toEqual([{ mode: 'verify' }]);
});

test('closing the dialog does not start a comparison', async () => {
  const { called, store } = renderShell();
  store.getState().open('verify');
  await userEvent.click(await screen.findByRole('button', { name: 'Not now' }));
  expect(called('sync.start')).toEqual([]);
});

test('does not offer a comparison before the first copy', async () => {
  const { store } = renderShell({ replica: NO_DATA, lastRun: null, lastSuccess: null });
  await userEvent.click(screen.getByTestId('more'));
  expect(screen.getByRole('menuitem', { name: /Verify data…/ })).toHaveProperty('disabled', true);
  await userEvent.keyboard('{Escape}');
  act(() => store.getState().open('verify'));
  const dialog = await screen.findByRole('dialog', { name: 'Verify the data of this PC?' });
  expect(within(dialog).queryByRole('button', { name: 'Verify data' })).toBeNull();
});

test('a comparison names its table and can be cancelled', async () => {
  const progress = { ...PROGRESS, unit: 'rows' as const, stage: 'comparing' as const, tableIndex: 2 };
  const { called } = renderShell({ phase: { kind: 'syncing', first: false, progress } });
  const card = screen.getByTestId('status-card');
  expect(within(card).getByRole('progressbar', { name: 'Verify progress' })).toBeTruthy();
  expect(within(card).getByText('orders (2 of 6)')).toBeTruthy();
  await userEvent.click(screen.getByTestId('primary'));
  expect(called('sync.cancel')).toEqual([{}]);
});

test('shows the result as a notification on any screen, and keeps it on the status card', async () => {
  const { push, state, store } = renderShell();
  act(() => store.getState().show('settings'));
  act(() => push({ ...state, facts: facts({ lastRun: REPAIRED, lastSuccess: REPAIRED }) }));
  const said = 'Compared 200,000 rows in 6 tables: 5 rows in 1 table differed and were repaired';
  expect((await screen.findByText('Data repaired')).parentElement?.textContent).toContain(said);
  act(() => store.getState().show('sync'));
  expect(screen.getByTestId('verify-result').textContent).toContain(said);
  await userEvent.click(screen.getByRole('button', { name: 'Show in Activity' }));
  expect(store.getState().screen).toBe('activity');
});

test('shows no notification for an automatic comparison, or for one that ended before the window opened', async () => {
  const { push, state } = renderShell({ lastRun: VERIFY });
  expect(screen.getByTestId('verify-result').textContent).toContain('identical');
  const scheduled: Run = { ...VERIFY, id: 'verify-2', trigger: 'schedule' };
  act(() => push({ ...state, facts: facts({ lastRun: scheduled }) }));
  expect(screen.queryByText('Data verified')).toBeNull();
});

test('shows no notification for an earlier comparison when the database opens', async () => {
  const { push, state } = renderShell({ lastRun: null });
  act(() => push({ ...state, facts: facts({ lastRun: { ...REPAIRED, endedAt: at(60_000) } }) }));
  expect(screen.getByTestId('verify-result').textContent).toContain('were repaired');
  expect(screen.queryByText('Data repaired')).toBeNull();
});

test('a cancelled comparison reports no result', () => {
  renderShell({ lastRun: { ...VERIFY, outcome: 'cancelled' } });
  expect(screen.getByTestId('verify-result').textContent).toContain('The comparison was cancelled before it ended');
  expect(screen.queryByText(/identical/)).toBeNull();
});

test('a failed comparison is shown in the status, and its retry is a comparison', async () => {
  const lastRun = failedRun({ code: 'page_corrupt', params: {} }, { mode: 'verify' });
  const { called } = renderShell({ lastRun });
  expect(screen.getByTestId('headline').textContent).toContain('Verify stopped');
  expect(screen.queryByTestId('verify-result')).toBeNull();
  await userEvent.click(screen.getByTestId('primary'));
  expect(called('sync.start')).toEqual([{ mode: 'verify' }]);
});
