import { Bytes } from '@tidemark/calls/port';
import { Epoch, PageStart, Seq } from '@tidemark/protocol/cursor';
import { ScopeSet } from '@tidemark/protocol/page';
import { z } from 'zod';
import { FiltersSchema } from '../../routing/filter-schema.ts';
import { CODINGS } from '../compression.ts';

/** Calls to the thread that builds the pages of one feed. */

/** The thread's `workerData`. `file` is the path of the feed's database. */
export const PageData = z.object({ file: z.string(), feed: z.string(), filters: FiltersSchema });

const Coding = z.enum(CODINGS);

/** A page of the log, and the coding in which to return it. */
export const PageRequest = z.object({
  epoch: Epoch,
  set: z.object({ id: ScopeSet, scopes: z.array(z.string()) }),
  start: PageStart,
  target: Seq,
  coding: Coding,
});
export type PageRequest = z.output<typeof PageRequest>;

const Encoded = z.object({
  bytes: Bytes,
  coding: Coding,
  /** Size before compression. */
  plainBytes: z.int().nonnegative(),
});
export type Encoded = z.output<typeof Encoded>;

/** Time limit of a call, in ms. A page with the largest row takes seconds. */
const LONGEST_MS = 60_000;

export const PAGE_CALLS = {
  /** Reads and compresses a page. Throws epoch_changed, behind_horizon, cursor_ahead, target_invalid, db_*. */
  page: { in: PageRequest, out: Encoded, timeoutMs: LONGEST_MS },
  /** Compresses the bytes, which move to the thread. */
  compress: { in: z.object({ bytes: Bytes, coding: Coding }), out: Encoded, timeoutMs: LONGEST_MS },
  /** Closes the database and ends the thread. */
  close: { in: z.object({}), out: z.object({}), timeoutMs: LONGEST_MS },
} as const;
