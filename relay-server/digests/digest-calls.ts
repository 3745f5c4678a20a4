import type { DigestRequest, RowsRequest } from '@tidemark/protocol/api';
import type { Fault } from '@tidemark/protocol/fault';

/** What the main thread asks of a feed's comparing thread, about the snapshot in `file`. */
export type CompareRequest =
  | { id: number; kind: 'digests'; file: string; asks: DigestRequest['asks'] }
  | { id: number; kind: 'rows'; file: string; asks: RowsRequest['asks'] };

/** Ends the thread at its next step: one that is ended from outside within a call of SQLite takes the process with it. */
export const CLOSE = 'close';

/** `bytes`: the answer's body. */
export type CompareReply = { id: number; ok: true; bytes: Uint8Array } | { id: number; ok: false; fault: Fault };
