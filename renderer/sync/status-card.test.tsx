// @vitest-environment happy-dom
import { screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import type { MethodName } from '@tidemark/electron/contract/contract';
import { seq } from '@tidemark/protocol/cursor';
import { deriveStatus } from '@tidemark/status/derive';
import type { Facts } from '@tidemark/status/facts';
import { at, EPOCH, facts, failedRun, NOW, PROGRESS, probe, RUN } from '@tidemark/testing/facts';
import { describe, expect, test } from 'vitest';
import { renderApp } from '../testing.tsx';
import { StatusCard } from './status-card.tsx';

const waiting: Partial<Facts> = {
  waiting: { transactions: 300, changes: 1284, bytes: 3_000_000, oldestAt: at(60_000) },
  probe: probe({ head: { epoch: EPOCH, seq: seq(5610), committedAt: at(1000) } }),
};
const failing = (
  code:
    | 'token_invalid'
    | 'relay_unreachable'
    | 'relay_busy'
    | 'page_invalid'
    | 'relay_cert'
    | 'feed_denied'
    | 'replica_altered'
    | 'replica_differs',
): Partial<Facts> => ({
  lastRun: failedRun({ code, params: { relay: 'relay.hq.example', detail: 'x', feed: 'shop' } }),
});
const syncing = (stage: (typeof PROGRESS)['stage'], first = false): Partial<Facts> => ({
  phase: { kind: 'syncing', first, progress: { ...PROGRESS, stage } },
});

/**
 * Facts of each status, and the call of its button. Null if there is no button, or if it only navigates within the
 * window.
 */
const STATES: [Partial<Facts>, [MethodName, unknown] | null][] = [
  [{}, ['sync.start', { mode: 'check' }]],
  [{ probe: probe({}, 3 * 3_600_000) }, ['sync.start', { mode: 'check' }]],
  [{ probe: probe({}, 30 * 3_600_000) }, ['sync.start', { mode: 'now' }]],
  [waiting, ['sync.start', { mode: 'now' }]],
  [{ ...waiting, paused: { since: at(0), until: null, by: 'you' } }, ['sync.resume', {}]],
  [
    { probe: probe({ feed: { connected: true, heardAt: at(60_000), lagMs: 720_000 } }) },
    ['sync.start', { mode: 'check' }],
  ],
  [
    {
      probe: probe({
        feed: {
          ...{ connected: false, heardAt: at(60_000), lagMs: 40 },
          fault: { code: 'source_unreachable', since: at(1_800_000) },
        },
      }),
    },
    ['sync.start', { mode: 'check' }],
  ],
  [
    {
      replica: {
        ...facts().replica,
        setAside: { count: 1, tables: [{ name: 'orders', reason: 'no_key', asOf: at(3_600_000) }] },
      },
    },
    ['sync.start', { mode: 'check' }],
  ],
  [{ phase: { kind: 'starting' } }, null],
  [{ phase: { kind: 'checking', since: at(0) } }, ['sync.cancel', {}]],
  [{ phase: { kind: 'cancelling', since: at(0) } }, null],
  [syncing('applying'), ['sync.cancel', {}]],
  [syncing('applying', true), ['sync.cancel', {}]],
  [syncing('finishing'), null],
  [syncing('comparing'), ['sync.cancel', {}]],
  [syncing('repairing'), ['sync.cancel', {}]],
  [
    {
      probe: probe({
        behind: null,
        plan: { by: 'difference', scopes: 'all', rows: 12, tables: 1, bytes: 3_000_000 },
      }),
      waiting: null,
    },
    ['sync.start', { mode: 'now' }],
  ],
  [failing('replica_altered'), ['sync.start', { mode: 'now' }]],
  [failing('replica_differs'), null],
  [
    { ...waiting, lastRun: { ...RUN, outcome: 'cancelled', endedAt: at(0), left: 12 } },
    ['sync.start', { mode: 'now' }],
  ],
  [{ replica: { ...facts().replica, cursor: null }, lastRun: null }, ['sync.start', { mode: 'now' }]],
  [{ online: false }, ['sync.start', { mode: 'now' }]],
  [failing('relay_unreachable'), ['sync.start', { mode: 'now' }]],
  [failing('relay_busy'), ['sync.start', { mode: 'now' }]],
  [failing('page_invalid'), ['sync.start', { mode: 'now' }]],
  [failing('token_invalid'), null],
  [{ replica: { ...facts().replica, fault: { code: 'disk_full', params: {} } } }, ['sync.start', { mode: 'now' }]],
  [{ replica: { ...facts().replica, fault: { code: 'db_damaged', params: {} } } }, null],
  [{ agent: { state: 'down', restarts: 5, since: at(0) } }, ['agent.restart', {}]],
  [{ agent: { state: 'restarting', restarts: 1, since: at(0) } }, null],
];

describe('the status card', () => {
  const rows = STATES.map(([change, call]) => ({ code: deriveStatus(facts(change), NOW).code, change, call }));
  test.each(rows)(
    'shows the text of the status $code, and its button makes the matching call',
    async ({ change, call }) => {
      const status = deriveStatus(facts(change), NOW);
      const { calls } = renderApp(<StatusCard />, { facts: change });
      const card = screen.getByTestId('status-card');
      expect(within(card).getByRole('heading', { level: 1 }).textContent).toBe(status.headline);
      expect(within(card).getByTestId('detail').textContent).toBe(status.detail);
      const button = within(card).queryByTestId('primary');
      if (status.primary === null) {
        expect(button).toBeNull();
        return;
      }
      expect(button?.textContent).toContain(status.primary.label);
      calls.length = 0;
      await userEvent.click(button ?? card);
      expect(calls).toEqual(call === null ? [] : [call]);
    },
  );
});

test('the button shows the number of changes waiting', () => {
  renderApp(<StatusCard />, { facts: waiting });
  expect(screen.getByTestId('primary').textContent).toBe('Sync now↓ 1,284');
});

test('an active run offers only Cancel', () => {
  renderApp(<StatusCard />, { facts: syncing('applying') });
  expect(screen.getByTestId('primary').textContent).toBe('Cancel');
  expect(screen.queryByTestId('more')).toBeNull();
});

test('disables "sync up to" and "one transaction" while no changes are waiting', async () => {
  renderApp(<StatusCard />);
  await userEvent.click(screen.getByTestId('more'));
  expect(screen.getByRole('menuitem', { name: /Sync up to/ })).toHaveProperty('disabled', true);
  expect(screen.getByRole('menuitem', { name: /Sync one transaction/ })).toHaveProperty('disabled', true);
});

test('starts a sync of one transaction', async () => {
  const { called } = renderApp(<StatusCard />, { facts: waiting });
  await userEvent.click(screen.getByTestId('more'));
  await userEvent.click(screen.getByRole('menuitem', { name: /Sync one transaction/ }));
  expect(called('sync.start')).toEqual([{ mode: 'one' }]);
});

test('the menu asks for confirmation before a fresh copy', async () => {
  const { called, store } = renderApp(<StatusCard />);
  await userEvent.click(screen.getByTestId('more'));
  await userEvent.click(screen.getByRole('menuitem', { name: /Download fresh copy/ }));
  expect(called('sync.start')).toEqual([]);
  expect(store.getState().dialog).toBe('recopy');
});

test('the menu shows the size of the download', async () => {
  const plan = { by: 'pages' as const, scopes: 'all', bytes: 3_000_000, squashed: true };
  renderApp(<StatusCard />, {
    facts: {
      waiting: { transactions: 300, changes: 1284, bytes: 12_000_000, oldestAt: at(60_000) },
      probe: probe({ behind: { transactions: 300, changes: 1284, bytes: 12_000_000, oldestAt: null }, plan }),
    },
  });
  await userEvent.click(screen.getByTestId('more'));
  expect(screen.getByRole('menuitem', { name: /Sync now.*About 3 MB to download/ })).toBeTruthy();
});

test('the button for a rejected key opens the key field', async () => {
  const { store } = renderApp(<StatusCard />, { facts: failing('token_invalid') });
  await userEvent.click(screen.getByTestId('primary'));
  expect(store.getState()).toMatchObject({ screen: 'settings', focusKey: true });
});

test('a pause "until I resume" has no end time', async () => {
  const { called } = renderApp(<StatusCard />);
  await userEvent.click(screen.getByTestId('pause'));
  await userEvent.click(screen.getByRole('menuitem', { name: 'Until I resume' }));
  expect(called('sync.pause')).toEqual([{ until: null }]);
});
