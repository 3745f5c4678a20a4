import { deriveStatus } from '@tidemark/status/derive';
import type { AppState } from '../contract/contract.ts';
import { tellWindow } from '../ipc/window-ipc.ts';
import type { AppTray } from './menus/tray.ts';
import type { AppWindow } from './window/app-window.ts';

/** What is said of a state changes with the clock, too. */
const TICK_MS = 30_000;

/** Shows the state where the operating system shows it: in the window, in the tray and on the window's button in the task bar. */
export class StatusDisplay {
  readonly #window: AppWindow;
  readonly #tray: AppTray | null;
  #last: AppState | null = null;

  constructor(window: AppWindow, tray: AppTray | null) {
    this.#window = window;
    this.#tray = tray;
    setInterval(() => this.#outside(), TICK_MS).unref();
  }

  show(state: AppState): void {
    this.#last = state;
    tellWindow(this.#window.current, 'state.changed', state);
    this.#outside();
  }

  #outside(): void {
    if (!this.#last) return;
    const status = deriveStatus(this.#last.facts, Date.now());
    this.#tray?.show(status);
    const window = this.#window.current;
    if (!window) return;
    const { progress, severity } = status;
    if (progress && progress.total > 0) window.setProgressBar(Math.min(1, progress.done / progress.total));
    else window.setProgressBar(progress ? 2 : -1, severity === 'error' ? { mode: 'error' } : undefined);
  }
}
