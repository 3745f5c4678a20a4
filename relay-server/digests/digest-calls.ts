import { Bytes } from '@tidemark/calls/port';
import { DigestRequest, RowsRequest } from '@tidemark/protocol/api';
import { z } from 'zod';

/** Calls to the thread that reads snapshots for terminals. In each, `file` is the path of the snapshot. */

/** Time limit of a call. A request names at most 256 ranges, and digests of the largest ranges take minutes. */
const LONGEST_MS = 600_000;

export const DIGEST_CALLS = {
  /** Returns the body of a DigestAnswer. Throws request_invalid, snapshot_gone, cancelled. */
  digests: {
    in: z.object({ file: z.string(), asks: DigestRequest.shape.asks }),
    out: z.object({ bytes: Bytes }),
    timeoutMs: LONGEST_MS,
  },
  /** Returns the body of the answer to a request for rows. Throws request_invalid, snapshot_gone, cancelled. */
  rows: {
    in: z.object({ file: z.string(), asks: RowsRequest.shape.asks }),
    out: z.object({ bytes: Bytes }),
    timeoutMs: LONGEST_MS,
  },
  /** Ends the thread. Its pending requests fail with `cancelled` at their next step. */
  close: { in: z.object({}), out: z.object({}), timeoutMs: LONGEST_MS },
} as const;
