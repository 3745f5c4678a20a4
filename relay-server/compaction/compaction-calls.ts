import { Epoch, Seq } from '@tidemark/protocol/cursor';
import { ScopeSet } from '@tidemark/protocol/page';
import { z } from 'zod';
import { FiltersSchema } from '../routing/filter-schema.ts';

/** Calls to the thread that compacts a range of the log. */

/** A range of a feed's log for one set of scopes, after `start` and up to `target`. */
export const CompactionRange = z.object({
  epoch: Epoch,
  set: ScopeSet,
  scopes: z.array(z.string()),
  start: Seq,
  target: Seq,
});
export type CompactionRange = z.output<typeof CompactionRange>;

/** A range and the location of its log. */
export const CompactionSource = CompactionRange.extend({
  /** Path of the feed's database. */
  file: z.string(),
  feed: z.string(),
  filters: FiltersSchema,
});
export type CompactionSource = z.output<typeof CompactionSource>;

/** Compacted pages that follow each other in a file. */
export const Compacted = z.object({
  /** The offset of each page's end in the file, in bytes. */
  ends: z.array(z.int().positive()),
  /** Number of changes in all pages. */
  changes: z.int().nonnegative(),
  /** Uncompressed size of all pages. */
  bytes: z.int().positive(),
});
export type Compacted = z.output<typeof Compacted>;

/** Time limit of a build. The largest range, 512 MiB, takes minutes. */
const LONGEST_MS = 3_600_000;

export const COMPACTION_CALLS = {
  /** Writes the pages to `file`. Returns null if the range cannot be compacted or would hardly be smaller. */
  build: {
    in: z.object({ source: CompactionSource, file: z.string() }),
    out: Compacted.nullable(),
    timeoutMs: LONGEST_MS,
  },
} as const;
