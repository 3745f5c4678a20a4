import { parseUrl } from '../ipc/parse-url.ts';

const EVERY_MS = 5_000;

interface OnlineDeps {
  isOnline: () => boolean;
  /** Address of the relay; '' when there is none. */
  relayUrl: () => string;
  tell: (online: boolean | null) => void;
}

/** Watches what the operating system says of the network; it has no event for it here. Returns the function that tells it again. */
export function watchOnline({ isOnline, relayUrl, tell }: OnlineDeps): () => void {
  let last: boolean | null | undefined;
  const look = () => {
    // A relay on this PC needs no network.
    const online = isLoopback(relayUrl()) ? null : isOnline();
    if (online !== last) tell(online);
    last = online;
  };
  setInterval(look, EVERY_MS).unref();
  return () => {
    last = undefined;
    look();
  };
}

/** Whether an address is this very PC's. */
export function isLoopback(address: string): boolean {
  const host = parseUrl(address)?.hostname ?? '';
  return host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
