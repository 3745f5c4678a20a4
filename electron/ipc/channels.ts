/** The only two IPC channels: one for the window's calls, one for events to the window. */
export const CALL_CHANNEL = 'tidemark:call';
export const EVENT_CHANNEL = 'tidemark:event';
