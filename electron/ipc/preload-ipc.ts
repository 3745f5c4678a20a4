import { ipcRenderer } from 'electron';
import type { Bridge } from '../contract/contract.ts';
import { CALL_CHANNEL, EVENT_CHANNEL } from './channels.ts';

/**
 * The bridge that the preload script exposes. No other code uses ipcRenderer, and the page sees neither ipcRenderer nor
 * its event objects.
 */
export const bridge: Bridge = {
  call: (method, input) => ipcRenderer.invoke(CALL_CHANNEL, method, input),
  on(event, listener) {
    const onEvent = (_: unknown, name: unknown, value: unknown) => {
      if (name === event) listener(value as Parameters<typeof listener>[0]);
    };
    ipcRenderer.on(EVENT_CHANNEL, onEvent);
    return () => void ipcRenderer.off(EVENT_CHANNEL, onEvent);
  },
};
