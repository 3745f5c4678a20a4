import { TidemarkError } from '@tidemark/protocol/errors';
import { app, clipboard } from 'electron';
import type { CallHandlers } from '../../ipc/window-ipc.ts';
import type { AgentProcess } from '../agent/agent-process.ts';
import type { AppStateHolder } from '../app-state.ts';
import type { SettingsService } from '../settings/settings-service.ts';

/**
 * The main process's own answers to the window. Input is parsed before it arrives here; nothing secret may be
 * returned.
 */

interface CallDeps {
  agent: AgentProcess;
  settings: SettingsService;
  state: AppStateHolder;
  restartApp: () => void;
  /** Called when the window asks for its first state. */
  onFirstState: () => void;
}

/** Handles the window's calls. Calls for the agent are forwarded by {@link AgentProcess.forwarded}. */
export function makeCalls({ agent, settings, state, restartApp, onFirstState }: CallDeps): CallHandlers {
  return {
    ...agent.forwarded,
    'app.info': async () => ({
      version: app.getVersion(),
      electron: process.versions.electron,
      node: process.versions.node,
      sqlite: agent.sqlite,
      platform: `${process.platform} ${process.getSystemVersion()} ${process.arch}`,
    }),
    'app.restart': async () => {
      restartApp();
      return {};
    },
    'state.get': async () => {
      onFirstState();
      return state.get();
    },
    'agent.restart': async () => {
      agent.restart();
      return {};
    },
    'settings.set': (change) => settings.change(change),
    'connection.test': async ({ relayUrl, feed, token }) => {
      const used = token ?? settings.token;
      if (used === null) throw new TidemarkError('not_configured');
      return agent.call('connection.test', { relayUrl, feed, token: used, version: app.getVersion() });
    },
    'clipboard.write': async ({ text }) => {
      await clipboard.writeText(text);
      return {};
    },
  };
}
