import { toFault } from '@tidemark/calls/fault';
import { answer, type Handlers } from '@tidemark/calls/server';
import { TidemarkError } from '@tidemark/protocol/errors';
import { type BrowserWindow, type IpcMainInvokeEvent, ipcMain } from 'electron';
import { EVENTS, type EventName, type EventValue, METHODS, type Reply } from '../contract/contract.ts';
import { CALL_CHANNEL, EVENT_CHANNEL } from './channels.ts';
import { originOf } from './parse-url.ts';

/** Electron's IPC with the window. No other code uses ipcMain or `webContents.send`. */

export type CallHandlers = Handlers<typeof METHODS>;

/**
 * Answers the window's calls. Only the top frame of a page from `origin` may call; any other sender gets
 * `forbidden_sender`. Calls `onFault` for every call that was rejected or failed.
 */
export function handleCalls(
  origin: string,
  handlers: CallHandlers,
  onFault: (method: unknown, error: unknown) => void,
): void {
  ipcMain.handle(CALL_CHANNEL, async (event, method: unknown, input: unknown): Promise<Reply<unknown>> => {
    try {
      if (!isOwnPage(event, origin)) throw new TidemarkError('forbidden_sender');
      return {
        ok: true,
        value: await answer(METHODS, handlers, method, input, (name) =>
          name === 'settings.set' ? 'settings_invalid' : 'request_invalid',
        ),
      };
    } catch (error) {
      onFault(method, error);
      return { ok: false, fault: toFault(error) };
    }
  });
}

/** Returns false for a page that the app did not serve, for an embedded frame, and for a destroyed frame. */
function isOwnPage({ senderFrame, sender }: IpcMainInvokeEvent, origin: string): boolean {
  if (!senderFrame || senderFrame !== sender.mainFrame) return false;
  return originOf(senderFrame.url) === origin;
}

/** Sends an event to the window if one is open. Throws if the value does not match the contract. */
export function sendToWindow<E extends EventName>(window: BrowserWindow | null, event: E, value: EventValue<E>): void {
  if (!window || window.isDestroyed() || window.webContents.isDestroyed()) return;
  window.webContents.send(EVENT_CHANNEL, event, EVENTS[event].parse(value));
}
