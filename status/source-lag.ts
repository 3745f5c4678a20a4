import type { RelayStatus } from '@tidemark/protocol/api';

/**
 * Returns the time since the relay last held everything that the master had, at the relay's answer (S12). Null:
 * unknown. A relay of an older version states the lag at the feed's last message, so the time since then is a lower
 * bound. For other relays, the lag is never shorter than that time.
 */
export function sourceLagMs({ now, feed: { heardAt, lagMs } }: RelayStatus): number | null {
  return lagMs === null || heardAt === null ? null : Math.max(lagMs, now - heardAt);
}
