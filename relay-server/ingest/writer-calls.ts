import type { SessionRequest } from '@tidemark/protocol/api';
import type { Seq } from '@tidemark/protocol/cursor';
import type { Fault } from '@tidemark/protocol/fault';
import type { TableSchema } from '@tidemark/protocol/schema';
import type { FeedRow } from '../log/log-format.ts';
import type { Retention } from '../log/retention.ts';
import type { Ingested } from './ingest.ts';

/** What the main thread asks of a feed's writer thread. */
export type WriterRequest =
  | { id: number; kind: 'open' }
  | { id: number; kind: 'session'; source: string; base: SessionRequest['base'] }
  | { id: number; kind: 'batch'; bytes: Uint8Array }
  | { id: number; kind: 'drop-oldest'; keep: Retention; now: number }
  | { id: number; kind: 'reset' }
  | { id: number; kind: 'close' };

export interface Dropped {
  horizon: Seq;
  /** More is to go. */
  more: boolean;
}

export interface SessionState {
  feed: FeedRow;
  tables: { id: number; schema: TableSchema }[];
}

export type WriterReply =
  | { id: number; ok: true; value: SessionState | Ingested | Dropped | null }
  | { id: number; ok: false; fault: Fault };
