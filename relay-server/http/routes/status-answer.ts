import type { RelayStatusBody } from '@tidemark/protocol/api';
import { PROTOCOL_VERSION } from '@tidemark/protocol/page';
import type { FeedTroubles } from '@tidemark/protocol/trouble';
import type { z } from 'zod';
import type { FeedStatus } from '../../feed/feed.ts';
import type { Troubles } from '../../freshness/troubles.ts';

type FeedTroublesBody = z.input<typeof FeedTroubles>;

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
      ...(status.fault ? { fault: { code: status.fault.code, since: iso(status.fault.since) } } : {}),
      ...(status.troubled > 0 ? { troubled: status.troubled } : {}),
      ...(basedAt === null || basedWhy === null ? {} : { base: { at: basedAt, why: cut(basedWhy) } }),
    },
  };
}

/** Converts a feed's last report to its wire form, with all details. Only administrators may receive it. */
export function troublesAnswer(last: Troubles['report']): FeedTroublesBody {
  if (last === null) return { report: null, heardAt: null };
  const { fault, tables, more } = last.report;
  return {
    report: {
      fault: fault && { ...fault, since: iso(fault.since) },
      tables: tables.map((table) => ({ ...table, since: iso(table.since) })),
      more,
    },
    heardAt: iso(last.heardAtMs),
  };
}

/** Formats one of the relay's own times. The master's times are texts and pass through unchanged. */
const iso = (ms: number) => new Date(ms).toISOString();
const isoOrNull = (ms: number | null) => (ms === null ? null : iso(ms));

/** Longest reason of a base copy in a status, in UTF-16 code units. A status has at most 1 kB (S2). */
const WHY_LENGTH = 100;
const cut = (why: string) => (why.length > WHY_LENGTH ? `${why.slice(0, WHY_LENGTH - 1)}…` : why);
