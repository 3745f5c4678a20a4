import path from 'node:path';
import { asTidemarkError } from '@tidemark/protocol/errors';
import { app, crashReporter, nativeTheme, net, powerMonitor, session } from 'electron';
import { handleCalls } from '../ipc/window-ipc.ts';
import { agentEnv } from './agent/agent-env.ts';
import { AgentProcess } from './agent/agent-process.ts';
import { watchNetwork } from './agent/network-watch.ts';
import { AppStateHolder } from './app-state.ts';
import { quitOnFatalError } from './fatal-errors.ts';
import { openLog } from './log.ts';
import { makeCommands } from './menus/make-commands.ts';
import { installMenu } from './menus/menu.ts';
import { openTray } from './menus/tray.ts';
import { quitWhenStopped } from './quit.ts';
import { QueryQueue } from './reader/query-queue.ts';
import { startReader } from './reader/reader-process.ts';
import { selfTest, selfTestFolder } from './self-test.ts';
import { SettingsService } from './settings/settings-service.ts';
import { electronTokenStore } from './settings/token-store.ts';
import { makeStatusDisplay } from './status-display.ts';
import { ORIGIN, registerScheme, SCHEME, serveFolder } from './window/app-protocol.ts';
import { AppWindow } from './window/app-window.ts';
import { hardenContents, hardenSession } from './window/security.ts';
import { makeCalls } from './window/window-calls.ts';

/**
 * The app's main process. This file only connects the parts. Order: everything that must precede Electron's `ready`
 * event, then log, security, settings, window, agent. It must hold no state and make no decisions.
 */

const SELF_TEST = process.argv.includes('--self-test');
const HIDDEN = SELF_TEST || process.argv.includes('--hidden');

const temporary = SELF_TEST ? selfTestFolder() : null;
if (temporary) app.setPath('userData', temporary.folder);
app.setAppUserModelId('app.tidemark.terminal');
// Chromium's sandbox cannot run as root or in some containers. There, start the app with --no-sandbox.
if (!app.commandLine.hasSwitch('no-sandbox')) app.enableSandbox();
registerScheme();
crashReporter.start({ uploadToServer: false });

if (app.requestSingleInstanceLock()) void app.whenReady().then(start);
else app.exit(0);

async function start(): Promise<void> {
  const folder = app.getPath('userData');
  const log = openLog(path.join(folder, 'logs'));
  const logFailure = (event: string) => (error: unknown) =>
    log.write('error', event, { detail: asTidemarkError(error).message });
  log.write('info', 'app.start', {
    version: app.getVersion(),
    electron: process.versions.electron,
    platform: process.platform,
  });
  quitOnFatalError(log, !SELF_TEST);

  const onRefused = (what: string) => log.write('warn', 'security.refused', { what });
  hardenContents(onRefused);
  hardenSession(session.defaultSession, SCHEME, onRefused);
  serveFolder(session.defaultSession, path.join(__dirname, 'renderer'));

  const settings = await SettingsService.open({ folder, tokens: electronTokenStore() });
  if (process.env.TIDEMARK_PRESET) await settings.applyPreset(process.env.TIDEMARK_PRESET);
  for (const fault of settings.faults) log.write('error', 'settings.unusable', { ...fault });

  const window = new AppWindow({
    visible: !HIDDEN,
    devTools: !app.isPackaged,
    // Some Linux desktops show no tray icon, so a hidden window could not be opened again.
    hideOnClose: () => tray !== null && process.platform !== 'linux',
    onCrash: (reason) => log.write('error', 'window.crashed', { reason }),
  });
  const env = agentEnv(process.env, app.isPackaged, process.resourcesPath);
  const agent = new AgentProcess({
    env,
    now: () => Date.now(),
    log: log.write,
    onLogLine: log.line,
    config: () => {
      const config = settings.agentConfig();
      return config && { ...config, version: app.getVersion() };
    },
    onReady: () => reportNetwork(),
    onState: (value) => state.setAgent(value),
    onFacts: (facts) => {
      state.setFacts(facts);
      settings.keepPaused(facts.paused).catch(logFailure('settings.keep_paused'));
    },
  });
  const queries = new QueryQueue({
    database: () => settings.agentConfig(),
    start: (database) => startReader(database, { env, log: log.write }),
    now: () => performance.now(),
  });
  const commands = makeCommands({
    agent,
    window,
    quit: () => app.quit(),
    onFailed: (command, error) => logFailure(`menu.${command}`)(error),
  });
  const tray = SELF_TEST ? null : openTray(commands);
  const state = new AppStateHolder({ settings, now: () => Date.now(), publish: makeStatusDisplay(window, tray) });
  const reportNetwork = watchNetwork({
    isOnline: () => net.isOnline(),
    relayUrl: () => settings.get().relayUrl,
    report: (online) => void agent.call('agent.online', { online }).catch(logFailure('agent.online')),
  });
  powerMonitor.on('resume', () => void agent.call('agent.wake', {}).catch(logFailure('agent.wake')));

  const applyTheme = () => {
    nativeTheme.themeSource = settings.get().theme;
  };
  applyTheme();
  settings.onChange(() => {
    applyTheme();
    agent.configure();
    reportNetwork();
  });

  const windowReady = Promise.withResolvers<void>();
  const restartApp = () => {
    app.relaunch();
    app.quit();
  };
  handleCalls(
    ORIGIN,
    makeCalls({ agent, queries, settings, state, restartApp, onFirstState: () => windowReady.resolve() }),
    (method, error) => {
      const { code, message } = asTidemarkError(error);
      log.write('warn', 'window.call_failed', { method: String(method).slice(0, 60), code, detail: message });
    },
  );
  installMenu(commands, !app.isPackaged);

  quitWhenStopped(async () => {
    queries.stop();
    await agent.stop();
    log.write('info', 'app.stop');
    log.flush();
  }, logFailure('app.stop_failed'));
  app.on('window-all-closed', () => app.quit());
  app.on('second-instance', () => window.show());
  app.on('activate', () => window.show());

  agent.start();
  window.open();

  if (temporary) {
    const result = await selfTest(agent, folder, windowReady.promise, app.getVersion());
    process.stdout.write(`${JSON.stringify(result)}\n`);
    await agent.stop();
    // Remove the folder last: Chromium writes to it until the process exits.
    process.once('exit', temporary.remove);
    app.exit(result.ok ? 0 : 1);
  }
}
