import { Bytes } from '@tidemark/calls/port';
import { SessionRequest } from '@tidemark/protocol/api';
import { Seq } from '@tidemark/protocol/cursor';
import { TableId, TableSchema } from '@tidemark/protocol/schema';
import { z } from 'zod';
import { FeedRow } from '../log/log-format.ts';
import { Retention } from '../log/retention.ts';
import { FiltersSchema } from '../routing/filter-schema.ts';

/** Calls to a feed's writer thread. Every call throws db_* and disk_full. */

/** The thread's `workerData`. */
export const WriterData = z.object({ file: z.string(), filters: FiltersSchema });

/** The outcome of a batch. */
export const Ingested = z.object({
  feed: FeedRow,
  /** Whether a heartbeat of the batch was sent from the end of the master's log. */
  current: z.boolean(),
  /** The scopes in which the batch changed rows. */
  scopes: z.array(z.string()),
});
export type Ingested = z.output<typeof Ingested>;

/** The outcome of one step of retention. `more` states whether there is more to drop. */
export const Dropped = z.object({ horizon: Seq, more: z.boolean() });
export type Dropped = z.output<typeof Dropped>;

const SessionState = z.object({ feed: FeedRow, tables: z.array(z.object({ id: TableId, schema: TableSchema })) });
export type SessionState = z.output<typeof SessionState>;

/** Time limit of a call, in ms. A call may have to wait for a batch that ends the load of the largest table. */
const LONGEST_MS = 3_600_000;

const nothing = z.object({});

export const WRITER_CALLS = {
  /** Opens or creates the store. Throws config_invalid if a filter does not match its table. */
  open: { in: nothing, out: nothing, timeoutMs: LONGEST_MS },
  /** Drops uncommitted changes and prepares the store for a session. */
  session: {
    in: z.object({ source: z.string(), base: SessionRequest.shape.base }),
    out: SessionState,
    timeoutMs: LONGEST_MS,
  },
  /**
   * Applies a batch. Rolls back uncommitted changes before it throws batch_corrupt, batch_invalid or filter_invalid.
   */
  batch: { in: z.object({ bytes: Bytes }), out: Ingested, timeoutMs: LONGEST_MS },
  /** Runs one step of retention. `nowMs` is the relay's clock. */
  dropOldest: { in: z.object({ keep: Retention, nowMs: z.number() }), out: Dropped, timeoutMs: LONGEST_MS },
  /** Drops uncommitted changes and closes the store. */
  close: { in: nothing, out: nothing, timeoutMs: LONGEST_MS },
} as const;
