import { SnapshotManifest } from '@tidemark/protocol/api';
import { ScopeSet } from '@tidemark/protocol/page';
import type { SnapshotSource } from '@tidemark/table-store/snapshot';
import { z } from 'zod';

/** Calls to the thread that builds a snapshot. */

const Part = z.object({
  columns: z.array(z.string()).nullable(),
  where: z.string(),
  params: z.array(z.union([z.string(), z.number(), z.bigint(), z.null()])),
  indexes: z.array(z.array(z.string())),
});

const Source = z.object({
  mirror: z.string(),
  feed: z.string(),
  scopes: ScopeSet,
  cursorSql: z.string(),
  tables: z.record(z.string(), Part.nullable()),
}) satisfies z.ZodType<SnapshotSource>;

/** Time limit of a build in ms, sufficient for a mirror of hundreds of GB. */
const LONGEST_MS = 6 * 3_600_000;

export const SNAPSHOT_CALLS = {
  /**
   * Writes the snapshot to `file` and its compressed forms to the same folder, and syncs them to disk. Throws
   * db_*, and disk_full if the disk is full or the files would take more than `maxBytes` together.
   */
  build: {
    in: z.object({ source: Source, file: z.string(), maxBytes: z.number() }),
    out: SnapshotManifest,
    timeoutMs: LONGEST_MS,
  },
} as const;
