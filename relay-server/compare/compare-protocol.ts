import type { DigestRequest, RowsRequest } from '@tidemark/protocol/api.ts';
import type { Fault } from '@tidemark/protocol/status/facts.ts';

/** What the main thread asks of a feed's comparing thread, about the snapshot in `file`. */
export type CompareRequest = { id: number; file: string } & (
  | { kind: 'digests'; asks: DigestRequest['asks'] }
  | { kind: 'rows'; asks: RowsRequest['asks'] }
);

/** `bytes`: the answer's body. */
export type CompareReply = { id: number; ok: true; bytes: Uint8Array } | { id: number; ok: false; fault: Fault };
