import { isLoopback } from '@tidemark/protocol/relay-address';

/** Interval of the poll. Electron's main process has no event for network changes. */
const POLL_MS = 5_000;

interface NetworkWatchDeps {
  isOnline: () => boolean;
  /** Returns the address of the relay, or '' before one is set. */
  relayUrl: () => string;
  /** Receives whether the PC has a network, or null if the relay is on this PC. */
  report: (online: boolean | null) => void;
}

/**
 * Reports whether the operating system has a network, once per change. The returned function repeats the current value
 * for an agent that has just started.
 */
export function watchNetwork({ isOnline, relayUrl, report }: NetworkWatchDeps): () => void {
  let last: boolean | null | undefined;
  const poll = () => {
    // A relay on this PC needs no network.
    const online = isLoopback(relayUrl()) ? null : isOnline();
    if (online !== last) report(online);
    last = online;
  };
  setInterval(poll, POLL_MS).unref();
  return () => {
    last = undefined;
    poll();
  };
}
