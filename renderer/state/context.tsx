import type { Settings } from '@tidemark/electron/contract/settings';
import type { Facts } from '@tidemark/status/facts';
import type { Status } from '@tidemark/status/status';
import { createContext, type ReactNode, useContext, useMemo } from 'react';
import { useStore } from 'zustand';
import type { Api } from '../bridge.ts';
import type { AppStore, AppStoreApi } from './app-store.ts';

/** Provides the app's calls and the window's state to components. */

interface App {
  api: Api;
  store: AppStoreApi;
}

const Context = createContext<App | null>(null);

export function AppProvider({ api, store, children }: App & { children: ReactNode }) {
  const app = useMemo(() => ({ api, store }), [api, store]);
  return <Context value={app}>{children}</Context>;
}

/** Returns the app's calls and the window's state. */
export function useTidemark(): App {
  const app = useContext(Context);
  if (!app) throw new Error('useTidemark must be used inside AppProvider');
  return app;
}

export function useApp<T>(select: (state: AppStore) => T): T {
  return useStore(useTidemark().store, select);
}

/** Asserts that a value is known. For components that are shown only after the app's first answer. */
function known<T>(value: T | null | undefined): T {
  if (value === null || value === undefined) throw new Error('shown before the first answer of the app');
  return value;
}

export const useFacts = (): Facts => known(useApp((state) => state.app?.facts));
export const useSettings = (): Settings => known(useApp((state) => state.app?.settings));
export const useStatus = (): Status => known(useApp((state) => state.app?.status));
/** Returns the current time in ms. A component that uses it renders every second, so use it only for relative times. */
export const useNow = (): number => useApp((state) => state.now);
