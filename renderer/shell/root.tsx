import { MantineProvider } from '@mantine/core';
import { Notifications } from '@mantine/notifications';
import type { Api } from '../bridge.ts';
import type { AppStoreApi } from '../state/app-store.ts';
import { AppProvider, useApp } from '../state/context.tsx';
import { cssVariables, theme } from '../theme.ts';
import { ErrorBoundary } from './error-boundary.tsx';
import { Shell } from './shell.tsx';

/** The outermost components: state, theme and notifications. */

export function Root({ api, store }: { api: Api; store: AppStoreApi }) {
  return (
    <AppProvider api={api} store={store}>
      <Themed />
    </AppProvider>
  );
}

function Themed() {
  const chosen = useApp((state) => state.app?.settings.theme ?? 'system');
  return (
    <MantineProvider
      theme={theme}
      cssVariablesResolver={cssVariables}
      defaultColorScheme="auto"
      {...(chosen === 'system' ? {} : { forceColorScheme: chosen })}
    >
      <Notifications position="bottom-right" limit={3} mb={32} />
      <ErrorBoundary>
        <Shell />
      </ErrorBoundary>
    </MantineProvider>
  );
}
