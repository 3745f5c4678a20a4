import path from 'node:path';
import { BrowserWindow, nativeTheme } from 'electron';
import { ORIGIN } from './app-protocol.ts';

/** The page's own background, so that nothing flashes before its first paint. */
const BACKGROUND = { light: '#f4f6f8', dark: '#14191f' } as const;
/** A page that crashes twice in this time is not loaded a third time. */
const CRASH_WINDOW_MS = 60_000;

interface WindowDeps {
  /** Whether to show it when it is ready. */
  visible: boolean;
  /** Whether developer tools can be opened: never in a release. */
  devTools: boolean;
  onCrash: (reason: string) => void;
}

/** The app's one window. */
export function openWindow({ visible, devTools, onCrash }: WindowDeps): BrowserWindow {
  const window = new BrowserWindow({
    width: 1280,
    height: 800,
    minWidth: 1024,
    minHeight: 640,
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
  if (visible) window.once('ready-to-show', () => window.show());
  recoverFromCrashes(window, onCrash);
  void window.loadURL(`${ORIGIN}/`);
  return window;
}

const background = () => (nativeTheme.shouldUseDarkColors ? BACKGROUND.dark : BACKGROUND.light);

/** A page that died is loaded once more; one that dies again gives way to a plain page with the ways out. Sync goes on meanwhile. */
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
