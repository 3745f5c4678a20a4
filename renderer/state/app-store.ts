import type { AppState, DialogId } from '@tidemark/electron/contract/contract';
import { SCREENS, type ScreenId } from '@tidemark/electron/contract/screens';
import type { RelayStatus } from '@tidemark/protocol/api';
import type { Fault } from '@tidemark/protocol/fault';
import { createStore } from 'zustand';
import { type Api, faultOf } from '../bridge.ts';

/** Dialogs that any screen can open. */
type Dialog = DialogId | 'up-to' | 'recopy';

/** Entries in the first-run steps that are not saved yet. */
export interface SetupDraft {
  step: 0 | 1 | 2;
  relayUrl: string;
  feed: string;
  token: string;
  found: { status: RelayStatus; latencyMs: number } | null;
}

export interface AppStore {
  /** The app's state; null until its first answer. */
  app: AppState | null;
  /** Why the first answer has not arrived; the window keeps retrying. */
  fault: Fault | null;
  /**
   * The current time in ms, updated once a second. Use it only for relative times: the app's status contains the text
   * and the code.
   */
  now: number;
  screen: ScreenId;
  dialog: Dialog | null;
  /** Whether the settings screen must focus the key field. */
  focusKey: boolean;
  draft: SetupDraft | null;
  setApp: (app: AppState) => void;
  setFault: (fault: Fault) => void;
  tick: (now: number) => void;
  show: (screen: ScreenId) => void;
  showKey: () => void;
  open: (dialog: Dialog | null) => void;
  setDraft: (draft: SetupDraft | null) => void;
}

/** Returns the old value if both are equal, so that React renders only changes. */
const keepEqual = <T>(old: T | undefined, value: T): T =>
  old !== undefined && JSON.stringify(old) === JSON.stringify(value) ? old : value;

/** Creates the window's state. `now` returns the time; tests replace it. */
export function createAppStore(now: () => number) {
  return createStore<AppStore>()((set) => ({
    app: null,
    fault: null,
    now: now(),
    screen: SCREENS[0].id,
    dialog: null,
    focusKey: false,
    draft: null,
    setApp: ({ facts, status, settings, settingsFaults }) =>
      set(({ app: old }) => ({
        app: {
          facts: keepEqual(old?.facts, facts),
          status: keepEqual(old?.status, status),
          settings: keepEqual(old?.settings, settings),
          settingsFaults: keepEqual(old?.settingsFaults, settingsFaults),
        },
        fault: null,
        now: now(),
      })),
    setFault: (fault) => set({ fault }),
    tick: (at) => set({ now: at }),
    show: (screen) => set({ screen, dialog: null, focusKey: false }),
    showKey: () => set({ screen: 'settings', dialog: null, focusKey: true }),
    open: (dialog) => set({ dialog }),
    setDraft: (draft) => set({ draft }),
  }));
}
export type AppStoreApi = ReturnType<typeof createAppStore>;

/** Wait in ms before the window requests the first answer again. */
const RETRY_MS = 1000;

/** Updates the store with the app's state and the time. Returns a function that stops the updates. */
export function feedStore(store: AppStoreApi, api: Api, now: () => number): () => void {
  let live = true;
  let retry: ReturnType<typeof setTimeout> | undefined;
  const ends = [
    api.on('state.changed', (app) => store.getState().setApp(app)),
    api.on('window.show', ({ screen }) => store.getState().show(screen)),
    api.on('window.open', ({ dialog }) => store.getState().open(dialog)),
  ];
  const timer = setInterval(() => store.getState().tick(now()), 1000);
  const first = () => {
    api.call('state.get', {}).then(
      (app) => {
        // If an event arrived first, its state is newer than this answer.
        if (live && store.getState().app === null) store.getState().setApp(app);
      },
      (thrown: unknown) => {
        if (!live || store.getState().app !== null) return;
        store.getState().setFault(faultOf(thrown));
        retry = setTimeout(first, RETRY_MS);
      },
    );
  };
  first();
  return () => {
    live = false;
    for (const end of ends) end();
    clearInterval(timer);
    clearTimeout(retry);
  };
}
