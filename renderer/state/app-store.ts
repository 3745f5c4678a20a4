import type { AppState, DialogId } from '@tidemark/electron/contract/contract';
import { SCREENS, type ScreenId } from '@tidemark/electron/contract/screens';
import type { RelayStatus } from '@tidemark/protocol/api';
import type { Fault } from '@tidemark/protocol/fault';
import { deriveStatus } from '@tidemark/status/derive';
import type { Status } from '@tidemark/status/status';
import { createStore } from 'zustand';
import { type Api, faultOf } from '../bridge.ts';

/** Dialogs that any screen can open. */
export type Dialog = DialogId | 'up-to' | 'recopy';

/** What the first-run assistant holds until it is saved, so that leaving the screen loses nothing. */
export interface SetupDraft {
  step: 0 | 1 | 2;
  relayUrl: string;
  feed: string;
  token: string;
  found: { status: RelayStatus; latencyMs: number } | null;
}

export interface AppStore {
  /** Null until the app's first answer. */
  app: AppState | null;
  status: Status | null;
  /** Why the app's first answer failed to come; it is asked again. */
  fault: Fault | null;
  /** The clock, ms; moves once a second. */
  now: number;
  screen: ScreenId;
  dialog: Dialog | null;
  /** Whether the settings screen opens at the key. */
  atKey: boolean;
  draft: SetupDraft | null;
  setApp: (app: AppState) => void;
  setFault: (fault: Fault) => void;
  tick: (now: number) => void;
  show: (screen: ScreenId) => void;
  showKey: () => void;
  open: (dialog: Dialog | null) => void;
  setDraft: (draft: SetupDraft | null) => void;
}

/** The window's state. `now` is the clock, handed in so that tests rule it. */
export function createAppStore(now: () => number) {
  return createStore<AppStore>()((set) => {
    /** The same status keeps its identity, so that a tick redraws only what the second changed. */
    const statusOf = (app: AppState | null, at: number, before: Status | null): Status | null => {
      if (!app) return null;
      const status = deriveStatus(app.facts, at);
      return before && JSON.stringify(before) === JSON.stringify(status) ? before : status;
    };
    return {
      app: null,
      status: null,
      fault: null,
      now: now(),
      screen: SCREENS[0].id,
      dialog: null,
      atKey: false,
      draft: null,
      setApp: (app) => set((old) => ({ app, fault: null, now: now(), status: statusOf(app, now(), old.status) })),
      setFault: (fault) => set({ fault }),
      tick: (at) => set((old) => ({ now: at, status: statusOf(old.app, at, old.status) })),
      show: (screen) => set({ screen, dialog: null, atKey: false }),
      showKey: () => set({ screen: 'settings', dialog: null, atKey: true }),
      open: (dialog) => set({ dialog }),
      setDraft: (draft) => set({ draft }),
    };
  });
}
export type AppStoreApi = ReturnType<typeof createAppStore>;

/** A first answer that did not come is asked for again after this. */
const AGAIN_MS = 1000;

/** Feeds the store from the app and the clock. Returns the function that ends it. */
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
        // An event may have come first; it is newer.
        if (live && store.getState().app === null) store.getState().setApp(app);
      },
      (thrown: unknown) => {
        if (!live || store.getState().app !== null) return;
        store.getState().setFault(faultOf(thrown));
        retry = setTimeout(first, AGAIN_MS);
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
