import { sendToWindow } from '../../ipc/window-ipc.ts';
import type { AgentProcess } from '../agent/agent-process.ts';
import type { AppWindow } from '../window/app-window.ts';
import type { Commands } from './commands.ts';

/** Implements the commands of menu and tray. A command never waits for its result, because the status shows it. */

interface CommandDeps {
  agent: Pick<AgentProcess, 'call'>;
  window: AppWindow;
  quit: () => void;
  onFailed: (command: string, error: unknown) => void;
}

/** Returns the commands of menu and tray, which call the agent and the window. */
export function makeCommands({ agent, window, quit, onFailed }: CommandDeps): Commands {
  const send = (command: string, call: Promise<unknown>) =>
    void call.catch((error: unknown) => onFailed(command, error));
  return {
    sync: () => send('sync', agent.call('sync.start', { mode: 'now' })),
    check: () => send('check', agent.call('sync.start', { mode: 'check' })),
    cancel: () => send('cancel', agent.call('sync.cancel', {})),
    pause: () => send('pause', agent.call('sync.pause', { until: null })),
    resume: () => send('resume', agent.call('sync.resume', {})),
    showScreen: (screen) => {
      window.show();
      sendToWindow(window.current, 'window.show', { screen });
    },
    openDialog: (dialog) => {
      window.show();
      sendToWindow(window.current, 'window.open', { dialog });
    },
    showWindow: () => window.show(),
    quit,
  };
}
