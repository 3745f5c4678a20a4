import { toFault } from '@tidemark/calls/fault';
import { answer, type Handlers } from '@tidemark/calls/server';
import { TidemarkError } from '@tidemark/protocol/errors';
import { type BrowserWindow, type IpcMainInvokeEvent, ipcMain } from 'electron';
import { EVENTS, type EventName, type EventValue, METHODS, type Reply } from '../contract/contract.ts';
import { CALL_CHANNEL, EVENT_CHANNEL } from './channels.ts';
import { originOf } from './parse-url.ts';

/** The only place that speaks to the window over Electron's IPC, and the only one that listens. */

export type CallHandlers = Handlers<typeof METHODS>;

/** Answers the window's calls. Only the top frame of a page of `origin` may call; `onRefused` hears of any other, and of faults. */
export function handleCalls(
  origin: string,
  handlers: CallHandlers,
  onFault: (method: unknown, error: unknown) => void,
): void {
  ipcMain.handle(CALL_CHANNEL, async (event, method: unknown, input: unknown): Promise<Reply<unknown>> => {
    try {
      if (!isOurs(event, origin)) throw new TidemarkError('forbidden_sender');
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

/** A page that we did not serve, a frame within ours, or a frame that is gone may ask nothing. */
function isOurs({ senderFrame, sender }: IpcMainInvokeEvent, origin: string): boolean {
  if (!senderFrame || senderFrame !== sender.mainFrame) return false;
  return originOf(senderFrame.url) === origin;
}

/** Tells the window something, if there is one. What the contract does not allow is our own fault and throws. */
export function tellWindow<E extends EventName>(window: BrowserWindow | null, event: E, value: EventValue<E>): void {
  if (!window || window.isDestroyed() || window.webContents.isDestroyed()) return;
  window.webContents.send(EVENT_CHANNEL, event, EVENTS[event].parse(value));
}
