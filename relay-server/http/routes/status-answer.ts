import type { RelayStatusBody } from '@tidemark/protocol/api';
import { PROTOCOL_VERSION } from '@tidemark/protocol/page';
import type { FeedStatus } from '../../feed/feed.ts';

/** Converts a feed's status to its wire form. No other code formats its times. */
export function statusAnswer(relay: { name: string; version: string }, status: FeedStatus): RelayStatusBody {
  const { epoch, head, horizon, committedAt, basedAt, basedWhy } = status.row;
  return {
    protocol: PROTOCOL_VERSION,
    relay,
    now: iso(status.nowMs),
    head: committedAt === null ? null : { epoch, seq: head, committedAt },
    horizon,
    keepsUntil: isoOrNull(status.keepsUntilMs),
    behind: status.behind,
    plan: status.plan,
    feed: {
      connected: status.connected,
      heardAt: isoOrNull(status.heardAtMs),
      lagMs: status.lagMs,
      ...(basedAt === null || basedWhy === null ? {} : { base: { at: basedAt, why: basedWhy } }),
    },
  };
}

/** Formats one of the relay's own times. The master's times are texts and pass through unchanged. */
const iso = (ms: number) => new Date(ms).toISOString();
const isoOrNull = (ms: number | null) => (ms === null ? null : iso(ms));
