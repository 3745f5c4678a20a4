import type { AppState, Bridge } from '@tidemark/electron/contract/contract';
import { facts, NOW } from '@tidemark/testing/facts';
import { expect, onTestFinished, test, vi } from 'vitest';
import { makeApi } from '../bridge.ts';
import { SETTINGS } from '../testing.tsx';
import { createAppStore, feedStore } from './app-store.ts';

const state = (online: boolean): AppState => ({ facts: facts({ online }), settings: SETTINGS, settingsFaults: [] });

/** A bridge whose first answer comes when the test says so. */
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

test('a first answer that comes after an event does not take its place', async () => {
  const { bridge, answer, push } = slowBridge();
  const store = createAppStore(() => NOW);
  onTestFinished(feedStore(store, makeApi(bridge), () => NOW));
  push(state(false));
  answer(state(true));
  await Promise.resolve();
  await Promise.resolve();
  expect(store.getState().status?.code).toBe('offline');
});

test('the clock turns a state over without a word from the app', () => {
  const store = createAppStore(() => NOW);
  store.getState().setApp(state(true));
  expect(store.getState().status?.code).toBe('up-to-date');
  store.getState().tick(NOW + 20 * 60_000);
  expect(store.getState().status?.code).toBe('up-to-date-old');
});

test('a second in which nothing changes redraws nothing', () => {
  const store = createAppStore(() => NOW);
  store.getState().setApp(state(true));
  const before = store.getState().status;
  store.getState().tick(NOW + 1000);
  expect(store.getState().status).toBe(before);
});

test('an app that does not answer at first is asked again, and the reason is kept', async () => {
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
