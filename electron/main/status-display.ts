import type { AppState } from '../contract/contract.ts';
import { sendToWindow } from '../ipc/window-ipc.ts';
import type { AppTray } from './menus/tray.ts';
import type { AppWindow } from './window/app-window.ts';

/** Electron's values for a hidden progress bar and for an indeterminate one. */
const NO_BAR = -1;
const INDETERMINATE = 2;

/** Shows a published state in the window, in the tray and on the window's button in the task bar. */
export function makeStatusDisplay(window: AppWindow, tray: AppTray | null): (state: AppState) => void {
  return (state) => {
    sendToWindow(window.current, 'state.changed', state);
    tray?.show(state.status);
    const { progress, severity } = state.status;
    if (progress && progress.total > 0) window.current?.setProgressBar(Math.min(1, progress.done / progress.total));
    else
      window.current?.setProgressBar(
        progress ? INDETERMINATE : NO_BAR,
        severity === 'error' ? { mode: 'error' } : undefined,
      );
  };
}
