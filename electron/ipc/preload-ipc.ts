import { ipcRenderer } from 'electron';
import type { Bridge } from '../contract/contract.ts';
import { CALL_CHANNEL, EVENT_CHANNEL } from './channels.ts';

/** The only place that uses ipcRenderer. Neither it nor its events get into the page. */
export const bridge: Bridge = {
  call: (method, input) => ipcRenderer.invoke(CALL_CHANNEL, method, input),
  on(event, listener) {
    const heard = (_: unknown, name: unknown, value: unknown) => {
      if (name === event) listener(value as Parameters<typeof listener>[0]);
    };
    ipcRenderer.on(EVENT_CHANNEL, heard);
    return () => void ipcRenderer.off(EVENT_CHANNEL, heard);
  },
};
