import { app, clipboard } from 'electron';
import type { CallHandlers } from '../../ipc/window-ipc.ts';
import type { AgentProcess } from '../agent/agent-process.ts';
import type { AppStateHolder } from '../app-state.ts';
import type { QueryQueue } from '../reader/query-queue.ts';
import type { SettingsService } from '../settings/settings-service.ts';

/**
 * Handles the window's calls in the main process. The IPC layer has already parsed the input. A handler must never
 * return a secret.
 */

interface CallDeps {
  agent: AgentProcess;
  queries: QueryQueue;
  settings: SettingsService;
  state: AppStateHolder;
  restartApp: () => void;
  /** Called when the window requests the state for the first time. */
  onFirstState: () => void;
}

/**
 * Returns the handlers of the window's calls. {@link AgentProcess.forwarded} forwards the agent's calls, and
 * {@link QueryQueue.forwarded} those of the reader process.
 */
export function makeCalls({ agent, queries, settings, state, restartApp, onFirstState }: CallDeps): CallHandlers {
  return {
    ...agent.forwarded,
    ...queries.forwarded,
    'data.cancel': async () => {
      queries.cancel();
      return {};
    },
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
      const used = token ?? settings.tokenFor(relayUrl);
      return agent.call('connection.test', { relayUrl, feed, token: used, version: app.getVersion() });
    },
    'clipboard.write': async ({ text }) => {
      await clipboard.writeText(text);
      return {};
    },
  };
}
