import { Bytes } from '@tidemark/calls/port';
import { DigestRequest, RowsRequest } from '@tidemark/protocol/api';
import { z } from 'zod';

/** Calls to the thread that reads snapshots for terminals. `file`: the snapshot. */

/** A request names at most 256 ranges; digests of the largest ones take minutes. */
const LONGEST_MS = 600_000;

export const DIGEST_CALLS = {
  /** The body of a DigestAnswer. Throws request_invalid, snapshot_gone, cancelled. */
  digests: {
    in: z.object({ file: z.string(), asks: DigestRequest.shape.asks }),
    out: z.object({ bytes: Bytes }),
    timeoutMs: LONGEST_MS,
  },
  /** The body of an answer to rows. Throws request_invalid, snapshot_gone, cancelled. */
  rows: {
    in: z.object({ file: z.string(), asks: RowsRequest.shape.asks }),
    out: z.object({ bytes: Bytes }),
    timeoutMs: LONGEST_MS,
  },
  /** Ends the thread at the next step of its requests, which end with `cancelled`. */
  close: { in: z.object({}), out: z.object({}), timeoutMs: LONGEST_MS },
} as const;
