import path from 'node:path';
import { asTidemarkError } from '@tidemark/protocol/errors';
import { app, type BrowserWindow, crashReporter, dialog, nativeTheme, net, powerMonitor, session } from 'electron';
import { handleCalls, tellWindow } from '../ipc/window-ipc.ts';
import { agentEnv } from './agent-env.ts';
import { AgentProcess } from './agent-process.ts';
import { ORIGIN, registerScheme, SCHEME, serveFolder } from './app-protocol.ts';
import { AppStateHolder } from './app-state.ts';
import { makeCalls } from './calls.ts';
import { openLog } from './log.ts';
import { type Commands, installMenu } from './menu.ts';
import { watchOnline } from './online.ts';
import { Presenter } from './presenter.ts';
import { quitWhenStopped } from './quit.ts';
import { hardenContents, hardenSession } from './security.ts';
import { selfTest, selfTestFolder } from './self-test.ts';
import { SettingsService } from './settings.ts';
import { electronTokenStore } from './token-store.ts';
import { openTray } from './tray.ts';
import { openWindow } from './window.ts';

/** The app's main process: it wires, and does no work of its own. */

const SELF_TEST = process.argv.includes('--self-test');
const HIDDEN = SELF_TEST || process.argv.includes('--hidden');

const temporary = SELF_TEST ? selfTestFolder() : null;
if (temporary) app.setPath('userData', temporary.folder);
app.setAppUserModelId('app.tidemark.terminal');
// Where Chromium's sandbox cannot run (root, as in containers), whoever starts the app says so by --no-sandbox.
if (!app.commandLine.hasSwitch('no-sandbox')) app.enableSandbox();
registerScheme();
crashReporter.start({ uploadToServer: false });

if (app.requestSingleInstanceLock()) void app.whenReady().then(start);
else app.exit(0);

async function start(): Promise<void> {
  const folder = app.getPath('userData');
  const log = openLog(path.join(folder, 'logs'));
  log.write('info', 'app.start', {
    version: app.getVersion(),
    electron: process.versions.electron,
    platform: process.platform,
  });
  const refused = (what: string) => log.write('warn', 'security.refused', { what });
  hardenContents(refused);
  hardenSession(session.defaultSession, SCHEME, refused);
  serveFolder(session.defaultSession, path.join(__dirname, 'renderer'));

  const settings = await SettingsService.open({ folder, tokens: electronTokenStore() });
  if (process.env.TIDEMARK_PRESET) await settings.takePreset(process.env.TIDEMARK_PRESET);
  if (settings.fault) log.write('error', 'settings.invalid', settings.fault.params);

  let window: BrowserWindow | null = null;
  const failed = (what: string) => (error: unknown) =>
    log.write('error', what, { detail: asTidemarkError(error).message });
  const send = (name: string, call: Promise<unknown>): void => {
    call.catch(failed(`menu.${name}`));
  };
  const commands: Commands = {
    sync: () => send('sync', agent.call('sync.start', { mode: 'now' })),
    check: () => send('check', agent.call('sync.start', { mode: 'check' })),
    cancel: () => send('cancel', agent.call('sync.cancel', {})),
    pause: () => send('pause', agent.call('sync.pause', { until: null })),
    resume: () => send('resume', agent.call('sync.resume', {})),
    open: () => showWindow(),
    show: (screen) => {
      showWindow();
      tellWindow(window, 'window.show', { screen });
    },
    quit: () => app.quit(),
  };
  const tray = SELF_TEST ? null : openTray(commands);
  const presenter = new Presenter(() => window, tray);
  const state = new AppStateHolder(settings, (value) => presenter.present(value));
  const agent = new AgentProcess({
    env: agentEnv(process.env, app.isPackaged, process.resourcesPath),
    now: Date.now,
    log: (level, event, fields) => log.write(level, event, fields),
    onLine: (line) => log.line(line),
    config: () => {
      const config = settings.agentConfig();
      return config && { ...config, version: app.getVersion() };
    },
    onReady: () => tellOnline(),
    onState: (value) => state.setAgent(value),
    onFacts: (facts) => {
      state.setFacts(facts);
      settings.keepPaused(facts.paused).catch(failed('settings.keep_paused'));
    },
  });
  const tellOnline = watchOnline({
    isOnline: () => net.isOnline(),
    relayUrl: () => settings.get().relayUrl,
    tell: (online) => void agent.call('agent.online', { online }).catch(failed('agent.online')),
  });

  const applyTheme = () => {
    nativeTheme.themeSource = settings.get().theme;
  };
  applyTheme();
  settings.onChange(() => {
    applyTheme();
    agent.configure();
    tellOnline();
  });
  powerMonitor.on('resume', () => void agent.call('agent.wake', {}).catch(failed('agent.wake')));

  const windowReady = Promise.withResolvers<void>();
  const restartApp = () => {
    app.relaunch();
    app.quit();
  };
  handleCalls(
    ORIGIN,
    makeCalls({ agent, settings, state, restartApp, onFirstState: () => windowReady.resolve() }),
    (method, error) => {
      log.write('warn', 'window.call_failed', {
        method: String(method).slice(0, 60),
        code: asTidemarkError(error).code,
        detail: asTidemarkError(error).message,
      });
    },
  );
  installMenu(commands, !app.isPackaged);

  function showWindow(): void {
    if (!window || window.isDestroyed()) window = open(true);
    if (window.isMinimized()) window.restore();
    window.show();
    window.focus();
  }

  function open(visible: boolean): BrowserWindow {
    const opened = openWindow({
      visible,
      devTools: !app.isPackaged,
      onCrash: (reason) => log.write('error', 'window.gone', { reason }),
    });
    opened.on('close', (event) => {
      // Where there is a tray for sure, closing leaves the sync running behind it.
      if (tray === null || process.platform === 'linux') return;
      event.preventDefault();
      opened.hide();
    });
    return opened;
  }

  quitWhenStopped(async () => {
    await agent.stop();
    log.write('info', 'app.stop');
    log.flush();
  }, failed('app.stop_failed'));
  app.on('window-all-closed', () => app.quit());
  app.on('second-instance', showWindow);
  app.on('activate', showWindow);
  process.on('uncaughtException', (error) => {
    log.write('error', 'app.uncaught', { detail: error.stack ?? error.message });
    if (!SELF_TEST)
      dialog.showErrorBox('Tidemark has to close', `${error.message}\n\nYour data is safe. Start Tidemark again.`);
    app.quit();
  });
  process.on('unhandledRejection', (reason) => {
    throw reason;
  });

  agent.start();
  window = open(!HIDDEN);

  if (temporary) {
    const result = await selfTest(agent, folder, windowReady.promise, app.getVersion());
    process.stdout.write(`${JSON.stringify(result)}\n`);
    await agent.stop();
    // Chromium writes to it until the very end.
    process.once('exit', temporary.remove);
    app.exit(result.ok ? 0 : 1);
  }
}
