import { Epoch, Seq } from '@tidemark/protocol/cursor';
import { ScopeSet } from '@tidemark/protocol/page';
import { z } from 'zod';
import { FiltersSchema } from '../routing/filter-schema.ts';

/** Calls to the thread that compacts a range of the log. */

/** A range of a feed's log, after `start` and up to `target`, as a set of scopes sees it. */
export const CompactionRange = z.object({
  epoch: Epoch,
  set: ScopeSet,
  scopes: z.array(z.string()),
  start: Seq,
  target: Seq,
});
export type CompactionRange = z.output<typeof CompactionRange>;

/** The range and where its log is. */
export const CompactionSource = CompactionRange.extend({
  /** The feed's database. */
  file: z.string(),
  feed: z.string(),
  filters: FiltersSchema,
});
export type CompactionSource = z.output<typeof CompactionSource>;

/** Compacted pages in a file, one after the other. */
export const Compacted = z.object({
  /** Where each page ends in the file, bytes. */
  ends: z.array(z.int().positive()),
  /** In all pages. */
  changes: z.int().nonnegative(),
  /** Size of all pages, uncompressed. */
  bytes: z.int().positive(),
});
export type Compacted = z.output<typeof Compacted>;

/** The largest range that is compacted, 512 MiB, takes minutes. */
const LONGEST_MS = 3_600_000;

export const COMPACTION_CALLS = {
  /** Writes the pages to `file`. Null: the range cannot be compacted, or would hardly be smaller. */
  build: {
    in: z.object({ source: CompactionSource, file: z.string() }),
    out: Compacted.nullable(),
    timeoutMs: LONGEST_MS,
  },
} as const;
