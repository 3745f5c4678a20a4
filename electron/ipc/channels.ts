/** The one channel on which the window asks, and the one on which it is told. */
export const CALL_CHANNEL = 'tidemark:call';
export const EVENT_CHANNEL = 'tidemark:event';
