/** The only two IPC channels: calls of the window, and events to it. */
export const CALL_CHANNEL = 'tidemark:call';
export const EVENT_CHANNEL = 'tidemark:event';
