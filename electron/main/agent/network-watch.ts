import { parseUrl } from '../../ipc/parse-url.ts';

/** Electron has no event for a change of the network in the main process, so the network is polled. */
const POLL_MS = 5_000;

interface NetworkWatchDeps {
  isOnline: () => boolean;
  /** Address of the relay; '' when none is set. */
  relayUrl: () => string;
  /** Null: the operating system's word does not matter. */
  report: (online: boolean | null) => void;
}

/**
 * Reports whether the operating system has a network, once at each change. The returned function reports the present
 * value again, for an agent that has just started.
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

/** Whether an address is on this PC. */
function isLoopback(address: string): boolean {
  const host = parseUrl(address)?.hostname ?? '';
  return host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
