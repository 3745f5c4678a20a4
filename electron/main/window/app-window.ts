import path from 'node:path';
import { BrowserWindow, nativeTheme } from 'electron';
import { ORIGIN } from './app-protocol.ts';

/** The page's background colour. The window uses it too, so that it does not flash before the first paint. */
const BACKGROUND = { light: '#f4f6f8', dark: '#14191f' } as const;
/** A second crash of the page within this time shows the recovery page. */
const CRASH_WINDOW_MS = 60_000;

interface WindowDeps {
  /** Whether to show the window at the start of the app. */
  visible: boolean;
  /** Whether developer tools can be opened. Must be false in a release. */
  devTools: boolean;
  /** Returns whether closing the window only hides it. Sync then continues, and the tray reopens the window. */
  hideOnClose: () => boolean;
  onCrash: (reason: string) => void;
}

/**
 * The app's only window. It can be opened again after it was closed. Its page is sandboxed and isolated, and has no
 * Node API.
 */
export class AppWindow {
  readonly #deps: WindowDeps;
  #window: BrowserWindow | null = null;

  constructor(deps: WindowDeps) {
    this.#deps = deps;
  }

  /** The open window, or null before {@link open} and after the window was closed. */
  get current(): BrowserWindow | null {
    return this.#window?.isDestroyed() === false ? this.#window : null;
  }

  open(visible = this.#deps.visible): BrowserWindow {
    const window = createWindow(this.#deps.devTools);
    this.#window = window;
    if (visible) window.once('ready-to-show', () => window.show());
    recoverFromCrashes(window, this.#deps.onCrash);
    window.on('close', (event) => {
      if (!this.#deps.hideOnClose()) return;
      event.preventDefault();
      window.hide();
    });
    void window.loadURL(`${ORIGIN}/`);
    return window;
  }

  /** Brings the window to the front. */
  show(): void {
    const window = this.current ?? this.open(true);
    if (window.isMinimized()) window.restore();
    window.show();
    window.focus();
  }
}

function createWindow(devTools: boolean): BrowserWindow {
  const window = new BrowserWindow({
    width: 1280,
    height: 800,
    minWidth: 1024,
    // A 1366×768 screen at 125 % leaves 614 pixels of height.
    minHeight: 560,
    show: false,
    title: 'Tidemark',
    backgroundColor: background(),
    autoHideMenuBar: true,
    webPreferences: {
      preload: path.join(__dirname, 'preload.cjs'),
      sandbox: true,
      contextIsolation: true,
      nodeIntegration: false,
      nodeIntegrationInWorker: false,
      nodeIntegrationInSubFrames: false,
      webSecurity: true,
      allowRunningInsecureContent: false,
      webviewTag: false,
      spellcheck: false,
      devTools,
    },
  });
  const paint = () => window.setBackgroundColor(background());
  nativeTheme.on('updated', paint);
  window.once('closed', () => nativeTheme.off('updated', paint));
  return window;
}

const background = () => (nativeTheme.shouldUseDarkColors ? BACKGROUND.dark : BACKGROUND.light);

/**
 * Reloads a page that crashed. If it crashes again soon, loads the recovery page, which uses none of the
 * page's code. The agent keeps syncing throughout.
 */
function recoverFromCrashes(window: BrowserWindow, onCrash: (reason: string) => void): void {
  let crashedAt = Number.NEGATIVE_INFINITY;
  window.webContents.on('render-process-gone', (_, { reason }) => {
    if (reason === 'clean-exit') return;
    onCrash(reason);
    const again = Date.now() - crashedAt < CRASH_WINDOW_MS;
    crashedAt = Date.now();
    void window.loadURL(again ? `${ORIGIN}/recovery.html` : `${ORIGIN}/`);
  });
}
