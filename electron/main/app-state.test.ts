import { facts as allFacts, NOW } from '@tidemark/testing/facts';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { AppState } from '../contract/contract.ts';
import type { Settings } from '../contract/settings.ts';
import { AppStateHolder } from './app-state.ts';

const SETTINGS: Settings = {
  relayUrl: 'https://relay.hq.example',
  feed: 'shop',
  hasToken: true,
  tokenStore: 'os',
  keyServer: 'https://relay.hq.example',
  centralName: 'Central database',
  branchName: 'Branch 7',
  everyMinutes: 0,
  automatic: 'sync',
  theme: 'light',
  databasePath: '/data/shop.sqlite',
};
const MINUTE_MS = 60_000;

beforeEach(() => void vi.useFakeTimers({ now: NOW }));
afterEach(() => void vi.useRealTimers());

function holder({ configured = true } = {}) {
  const published: AppState[] = [];
  let changed = () => {};
  const state = new AppStateHolder({
    settings: {
      get: () => SETTINGS,
      agentConfig: () => (configured ? ({} as never) : null),
      onChange: (listener) => {
        changed = listener;
      },
      faults: [],
    },
    now: () => Date.now(),
    publish: (value) => published.push(value),
  });
  const { agent: _, ...facts } = allFacts();
  return { state, published, facts, changeSettings: () => changed() };
}

test('publishes each change immediately, with its status', () => {
  const { state, published, facts } = holder();
  state.setAgent({ state: 'alive' });
  state.setFacts(facts);
  state.setFacts({ ...facts, online: false });
  expect(published.map(({ status }) => status.code)).toEqual(['starting', 'up-to-date', 'offline']);
});

test('publishes a status that only the clock changed', () => {
  const { state, published, facts } = holder();
  state.setAgent({ state: 'alive' });
  state.setFacts(facts);
  vi.advanceTimersByTime(20 * MINUTE_MS);
  expect(published.at(-1)?.status.code).toBe('up-to-date-old');
});

test('publishes nothing at a tick that leaves the status unchanged', () => {
  const { state, published, facts } = holder();
  state.setAgent({ state: 'alive' });
  state.setFacts(facts);
  const before = published.length;
  vi.advanceTimersByTime(5_000);
  expect(published).toHaveLength(before);
});

test('publishes a countdown every second', () => {
  const { state, published, facts } = holder();
  state.setAgent({ state: 'alive' });
  state.setFacts({ ...facts, retry: { attempt: 3, nextAt: NOW + 25_000 } });
  vi.advanceTimersByTime(3_000);
  const details = published.slice(-3).map(({ status }) => status.detail);
  expect(new Set(details).size).toBe(3);
});

test('reports the agent as starting until it has sent facts', () => {
  const { state } = holder();
  expect(state.get().status.code).toBe('starting');
});

test('a PC that is not set up has the status setup, whatever facts the agent sent before', () => {
  const { state, facts, changeSettings, published } = holder({ configured: false });
  state.setAgent({ state: 'alive' });
  state.setFacts(facts);
  changeSettings();
  expect(published.at(-1)?.status.code).toBe('setup');
});
