import type { AppState, Bridge } from '@tidemark/electron/contract/contract';
import { facts, NOW } from '@tidemark/testing/facts';
import { expect, onTestFinished, test, vi } from 'vitest';
import { makeApi } from '../bridge.ts';
import { appState, SETTINGS } from '../testing.tsx';
import { createAppStore, feedStore } from './app-store.ts';

const state = (online: boolean): AppState =>
  appState({ facts: facts({ online }), settings: SETTINGS, settingsFaults: [] });

/** Returns a bridge whose first answer and events the test controls. */
function slowBridge() {
  let answer: (value: AppState) => void = () => {};
  let push: (value: AppState) => void = () => {};
  const bridge = {
    call: () =>
      new Promise((resolve) => {
        answer = (value) => resolve({ ok: true, value });
      }),
    on: (event: string, listener: (value: AppState) => void) => {
      if (event === 'state.changed') push = listener;
      return () => {};
    },
  } as unknown as Bridge;
  return { bridge, answer: (value: AppState) => answer(value), push: (value: AppState) => push(value) };
}

test('the first answer does not replace an event that arrived before it', async () => {
  const { bridge, answer, push } = slowBridge();
  const store = createAppStore(() => NOW);
  onTestFinished(feedStore(store, makeApi(bridge), () => NOW));
  push(state(false));
  answer(state(true));
  await Promise.resolve();
  await Promise.resolve();
  expect(store.getState().app?.status.code).toBe('offline');
});

test('shows the status that the app sent instead of deriving one from the facts', () => {
  const store = createAppStore(() => NOW);
  store.getState().setApp({ ...state(true), status: { ...state(true).status, headline: 'As the app says' } });
  expect(store.getState().app?.status.headline).toBe('As the app says');
});

test('a state equal to the previous one causes no render', () => {
  const store = createAppStore(() => NOW);
  store.getState().setApp(state(true));
  const { facts: oldFacts, status, settings } = store.getState().app ?? {};
  store.getState().setApp(state(true));
  expect(store.getState().app?.facts).toBe(oldFacts);
  expect(store.getState().app?.status).toBe(status);
  expect(store.getState().app?.settings).toBe(settings);
});

test('a new status leaves facts and settings unchanged', () => {
  const store = createAppStore(() => NOW);
  store.getState().setApp(state(true));
  const old = store.getState().app;
  store.getState().setApp({ ...state(true), status: state(false).status });
  expect(store.getState().app?.status.code).toBe('offline');
  expect(store.getState().app?.facts).toBe(old?.facts);
});

test('retries until the app answers, and shows the reason meanwhile', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const calls: string[] = [];
  const bridge = {
    call: async (method: string) => {
      calls.push(method);
      return calls.length === 1
        ? { ok: false, fault: { code: 'agent_down', params: {} } }
        : { ok: true, value: state(true) };
    },
    on: () => () => {},
  } as unknown as Bridge;
  const store = createAppStore(() => NOW);
  onTestFinished(feedStore(store, makeApi(bridge), () => NOW));
  await vi.advanceTimersByTimeAsync(0);
  expect(store.getState().fault?.code).toBe('agent_down');
  await vi.advanceTimersByTimeAsync(1000);
  expect(store.getState().app).not.toBeNull();
  expect(store.getState().fault).toBeNull();
});
