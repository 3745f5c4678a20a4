import { createHash } from 'node:crypto';
import {
  type DigestPart,
  type DigestRequest,
  type KeyRange,
  type RowsRequest,
  RowsTrailer,
  type SnapshotManifest,
} from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { WireRow } from '@tidemark/protocol/lines';
import { askAgainMs } from '@tidemark/protocol/retry-wait';
import type { RelayClient } from '../relay/relay-client.ts';
import { parseJson, RelayError } from '../relay/relay-errors.ts';
import type { Transfer } from '../relay/relay-transport.ts';

/**
 * The relay's side of a comparison: digests and rows of one snapshot. It checks each answer completely, and against the
 * request, before it returns any part of it.
 */

/** The largest number of ranges in one request. */
export const MAX_ASKS = 256;
/** The longest time that the relay may be busy with one answer, ms. */
const MAX_BUSY_MS = 15 * 60_000;

/**
 * Rows that answer a request. The first `done` ranges are complete. The next one is answered up to the key `after`.
 * Null: none of its rows have arrived.
 */
export interface RowsAnswer {
  /** Table id and rows, in the relay's order. */
  lines: [number, WireRow[]][];
  done: number;
  after: RowsTrailer['after'];
}

export interface AnswersDeps {
  relay: Pick<RelayClient, 'digests' | 'rows'>;
  snapshot: SnapshotManifest;
  signal: AbortSignal;
  transfer: Transfer;
}

export class RelayAnswers {
  readonly #deps: AnswersDeps;
  #receivedBytes = 0;

  constructor(deps: AnswersDeps) {
    this.#deps = {
      ...deps,
      transfer: {
        received: (bytes) => {
          this.#receivedBytes += bytes;
          deps.transfer.received(bytes);
        },
        deadline: (at) => deps.transfer.deadline(at),
      },
    };
  }

  /** Bytes received from the network so far. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** Returns the digests of each range's parts. Throws RelayErrors, `page_invalid`, `cancelled`. */
  async digests(asks: DigestRequest['asks']): Promise<DigestPart[][]> {
    const { relay, snapshot, signal, transfer } = this.#deps;
    const { answers } = await this.#whileBusy(() => relay.digests(snapshot, asks, signal, transfer));
    if (answers.length !== asks.length) throw unexpectedAnswer();
    return answers;
  }

  /**
   * Returns rows of the ranges, starting with the first range. Throws RelayErrors, `page_corrupt`, `page_invalid`,
   * `cancelled`.
   */
  async rows(asks: RowsRequest['asks']): Promise<RowsAnswer> {
    const { relay, snapshot, signal, transfer } = this.#deps;
    return parseRows(await this.#whileBusy(() => relay.rows(snapshot, asks, signal, transfer)), asks);
  }

  /** Repeats a request while the relay computes its answer. */
  async #whileBusy<T>(ask: () => Promise<T>): Promise<T> {
    const since = Date.now();
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof RelayError) || error.code !== 'relay_busy') throw error;
        const waited = Date.now() - since;
        if (waited > MAX_BUSY_MS) throw error;
        await sleep(askAgainMs(waited, error.retryAfterMs, Math.random()), this.#deps.signal);
      }
    }
  }
}

export function unexpectedAnswer(): TidemarkError {
  return new TidemarkError('page_invalid', { detail: 'its answer to a comparison does not fit the request' });
}

function parseRows(bytes: Buffer, asks: RowsRequest['asks']): RowsAnswer {
  const trailerAt = bytes.lastIndexOf('\n', bytes.length - 2) + 1;
  const trailer = RowsTrailer.safeParse(parseJson(bytes.subarray(trailerAt)));
  const sha256 = createHash('sha256').update(bytes.subarray(0, trailerAt)).digest('hex');
  if (!trailer.success || trailer.data.sha256 !== sha256) throw new TidemarkError('page_corrupt');
  const { done, after } = trailer.data;
  const ids = new Set(asks.map(({ table }) => table));
  const lines = bytes
    .toString('utf8', 0, trailerAt)
    .split('\n')
    .filter((line) => line !== '')
    .map((line): [number, WireRow[]] => {
      const [kind, id, rows] = (parseJson(Buffer.from(line)) ?? []) as Partial<['i', number, WireRow[]]>;
      if (kind !== 'i' || id === undefined || !ids.has(id) || !Array.isArray(rows)) throw unexpectedAnswer();
      return [id, rows];
    });
  if (done > asks.length || (after !== null && done === asks.length)) throw unexpectedAnswer();
  const cut = asks[done];
  const isRepeated =
    after === null
      ? done === 0
      : cut === undefined ||
        isSameKey(after, cut.range.after) ||
        !lines.some(([id, rows]) => id === cut.table && rows.length > 0);
  // The terminal would repeat the same request forever.
  if (isRepeated) throw new TidemarkError('relay_no_progress');
  return { lines, done, after };
}

const isSameKey = (a: KeyRange['after'], b: KeyRange['after']) => JSON.stringify(a) === JSON.stringify(b);

/** Throws `cancelled` when the signal aborts. */
function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancel = () => {
      clearTimeout(timer);
      reject(new TidemarkError('cancelled'));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', cancel);
      resolve();
    }, ms);
    if (signal.aborted) cancel();
    else signal.addEventListener('abort', cancel, { once: true });
  });
}
