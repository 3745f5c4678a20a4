import { Center, Loader, Stack, Text } from '@mantine/core';
import { Suspense } from 'react';
import { describeFault } from '../bridge.ts';
import { useApp } from '../state/context.tsx';
import { RecopyDialog } from '../sync/recopy-dialog.tsx';
import { UpToDialog } from '../sync/up-to-dialog.tsx';
import { VerifyDialog } from '../sync/verify-dialog.tsx';
import { Announcer } from './announcer.tsx';
import { ErrorBoundary } from './error-boundary.tsx';
import { Rail } from './rail.tsx';
import { SCREEN_VIEWS } from './screen-views.tsx';
import classes from './shell.module.css';
import { ShortcutsDialog } from './shortcuts-dialog.tsx';
import { StatusBar } from './status-bar.tsx';
import { useShortcuts } from './use-shortcuts.ts';
import { useWindowTitle } from './use-window-title.ts';
import { VerifyNotice } from './verify-notice.tsx';

/** The layout of the window: rail, one screen, status bar, and the dialogs that any screen can open. */
export function Shell() {
  const ready = useApp((state) => state.app !== null);
  const fault = useApp((state) => state.fault);
  const screen = useApp((state) => state.screen);
  useShortcuts();
  useWindowTitle();
  const { View } = SCREEN_VIEWS[screen];
  return (
    <div className={classes.shell}>
      <Rail />
      <main className={classes.main} id="main" tabIndex={-1} key={screen}>
        {ready ? (
          <ErrorBoundary key={screen}>
            <Suspense fallback={null}>
              <View />
            </Suspense>
          </ErrorBoundary>
        ) : (
          <Center h="100%">
            <Stack align="center" gap="sm">
              <Loader size="sm" />
              <Text c="dimmed">{fault ? describeFault(fault).means : 'Starting…'}</Text>
            </Stack>
          </Center>
        )}
      </main>
      <StatusBar />
      {ready && (
        <>
          <Announcer />
          <UpToDialog />
          <RecopyDialog />
          <VerifyDialog />
          <VerifyNotice />
        </>
      )}
      <ShortcutsDialog />
    </div>
  );
}
