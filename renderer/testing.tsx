import { MantineProvider } from '@mantine/core';
import { cleanup, render } from '@testing-library/react';
import {
  type AppState,
  type Bridge,
  EVENTS,
  type EventName,
  type EventValue,
  METHODS,
  type MethodName,
  type Output,
  type Reply,
} from '@tidemark/electron/contract/contract';
import type { Settings, SettingsFault } from '@tidemark/electron/contract/settings';
import { deriveStatus } from '@tidemark/status/derive';
import type { Facts } from '@tidemark/status/facts';
import { facts, NOW } from '@tidemark/testing/facts';
import type { ReactNode } from 'react';
import { onTestFinished } from 'vitest';
import { makeApi } from './bridge.ts';
import { createAppStore, feedStore } from './state/app-store.ts';
import { AppProvider } from './state/context.tsx';
import { cssVariables, theme } from './theme.ts';

export const SETTINGS: Settings = {
  relayUrl: 'https://relay.hq.example',
  feed: 'shop',
  hasToken: true,
  tokenStore: 'os',
  keyServer: 'https://relay.hq.example',
  centralName: 'Central database',
  branchName: 'Branch 7',
  everyMinutes: 5,
  automatic: 'sync',
  theme: 'light',
  databasePath: '/data/branch.sqlite',
};

type Answers = { [M in MethodName]?: (input: never) => Reply<Output<M>> };

/** The app's state without its status, which {@link appState} derives in the same way as the main process. */
type AppFacts = Omit<AppState, 'status'>;

/** Returns the app's state at {@link NOW}. */
export const appState = (from: AppFacts): AppState => ({ ...from, status: deriveStatus(from.facts, NOW) });

/**
 * Implements the app's side of the contract for tests. It validates input and output with the same schemas as the app,
 * so that tests detect a violation of the contract. `answers` replace the default answers.
 */
function fakeApp(state: AppFacts, answers: Answers = {}) {
  const calls: [method: MethodName, input: unknown][] = [];
  const listeners = new Set<{ event: EventName; listener: (value: never) => void }>();
  let current = appState(state);
  const usual: Answers = {
    'state.get': () => ({ ok: true, value: current }),
    'tables.list': () => ({ ok: true, value: [] }),
    'runs.list': () => ({ ok: true, value: [] }),
    'lag.list': () => ({ ok: true, value: [] }),
    'app.info': () => ({
      ok: true,
      value: { version: '0.1.0', electron: '45.4.1', node: '24.21.0', sqlite: '3.51.0', platform: 'linux' },
    }),
    'settings.set': (change: Partial<Settings> & { token?: string }) => {
      const { token, ...rest } = change;
      const settings = { ...current.settings, ...rest, ...(token === undefined ? {} : { hasToken: true }) };
      push({ ...current, settings });
      return { ok: true, value: settings };
    },
  };
  /** Sends an event to the window. */
  function sendEvent<E extends EventName>(event: E, value: EventValue<E>) {
    const parsed = EVENTS[event].parse(value);
    for (const each of listeners) if (each.event === event) each.listener(parsed as never);
  }
  function push(next: AppFacts) {
    current = appState(next);
    sendEvent('state.changed', current);
  }
  const bridge: Bridge = {
    async call(method, input) {
      const parsed = METHODS[method].in.parse(input);
      calls.push([method, parsed]);
      const answer = (answers[method] ?? usual[method]) as ((input: unknown) => Reply<unknown>) | undefined;
      const reply = answer ? answer(parsed) : { ok: true as const, value: {} };
      return (reply.ok ? { ok: true, value: METHODS[method].out.parse(reply.value) } : reply) as never;
    },
    on(event, listener) {
      const each = { event, listener };
      listeners.add(each);
      return () => listeners.delete(each);
    },
  };
  return {
    bridge,
    calls,
    push,
    sendEvent,
    called: (method: MethodName) => calls.filter(([each]) => each === method).map(([, input]) => input),
  };
}

/** Renders a part of the window with facts and settings. The clock is fixed at {@link NOW}. */
export function renderApp(
  ui: ReactNode,
  {
    facts: change = {},
    settings = {},
    settingsFaults = [],
    answers = {},
  }: {
    facts?: Partial<Facts>;
    settings?: Partial<Settings>;
    settingsFaults?: SettingsFault[];
    answers?: Answers;
  } = {},
) {
  const state: AppFacts = { facts: facts(change), settings: { ...SETTINGS, ...settings }, settingsFaults };
  const app = fakeApp(state, answers);
  const api = makeApi(app.bridge);
  const store = createAppStore(() => NOW);
  store.getState().setApp(appState(state));
  const end = feedStore(store, api, () => NOW);
  onTestFinished(() => {
    end();
    cleanup();
  });
  render(
    <AppProvider api={api} store={store}>
      <MantineProvider theme={theme} cssVariablesResolver={cssVariables} env="test">
        {ui}
      </MantineProvider>
    </AppProvider>,
  );
  return { ...app, state, store };
}
