import { Bytes } from '@tidemark/calls/port';
import { z } from 'zod';
import { CODINGS } from '../pages/compression.ts';

/** Calls to the thread that reads snapshots for terminals. */

/**
 * Time limit of a call, in ms. Digests of the largest ranges take minutes, and up to {@link RUNNING_MAX} calls share the
 * thread.
 */
const LONGEST_MS = 3_600_000;

/** Upper bound on the number of calls that the thread runs at the same time. */
export const RUNNING_MAX = 32;

/** A digests or rows request for a snapshot. */
export const DigestTask = z.object({
  kind: z.enum(['digests', 'rows']),
  /** Path of the snapshot. */
  file: z.string(),
  /** The body of the request, which the thread parses and checks. */
  body: Bytes,
  /** The coding of the answer, if it is large enough to be compressed. */
  coding: z.enum(CODINGS),
});
export type DigestTask = z.output<typeof DigestTask>;

export const DIGEST_CALLS = {
  /**
   * Returns the body of the answer. `id` is unique among the calls that run. Throws request_invalid, snapshot_gone,
   * cancelled.
   */
  answer: {
    in: DigestTask.extend({ id: z.int() }),
    out: z.object({ bytes: Bytes, coding: z.enum(CODINGS) }),
    timeoutMs: LONGEST_MS,
  },
  /** Ends a call, which fails with `cancelled` at its next step. Ignores a call that has ended. */
  cancel: { in: z.object({ id: z.int() }), out: z.object({}), timeoutMs: LONGEST_MS },
  /** Ends the thread. Its pending calls fail with `cancelled` at their next step. */
  close: { in: z.object({}), out: z.object({}), timeoutMs: LONGEST_MS },
} as const;
