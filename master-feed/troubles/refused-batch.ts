import { asTidemarkError } from '@tidemark/protocol/errors';
import type { SourcePosition } from '@tidemark/protocol/position';
import { LARGEST_BATCH, type Outbox, type RefusedBatch, SMALLEST_BATCH } from '../batching/outbox.ts';
import { RefusedRequest } from '../relay-link.ts';
import type { Log } from '../source.ts';

/**
 * Recognises a batch that the relay, or something in front of it, refuses each time (F22), and finds a way past it:
 * 1. smaller batches, because most limits concern the size of a request,
 * 2. the table of the refused rows, which the feed then sets aside,
 * 3. a base copy, if the rows are of several tables.
 *
 * An outage must never look like such a batch. So a lost connection, a time limit, a full disk and 503 do not count, and
 * before a session sends the batch again, it sends a heartbeat: when the relay does not accept that either, the batch is
 * not the cause.
 */

/** Number of sessions that must fail at one position. A refusal because of the size needs one. */
const TRIES = 3;

/** Codes with which a relay refuses a batch because of its content. */
const CODES = new Set(['batch_invalid', 'batch_corrupt', 'body_too_large', 'filter_invalid', 'request_invalid']);

/** `smaller`: send smaller batches. `table`: the number of the table to blame. `copy`: take a base copy. */
export type WayPast = { smaller: number } | { table: number; isSize: boolean } | 'copy';

export class RefusedBatches {
  readonly #log: Log;
  #position: SourcePosition | null = null;
  #count = 0;
  /** The size at which the outbox sends a batch, in bytes. It stays lowered until the feed restarts. */
  batchBytes = LARGEST_BATCH;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Whether the session must send a heartbeat before anything else. */
  isSuspect(position: SourcePosition | null): boolean {
    return this.#count > 0 && position === this.#position;
  }

  /** Notes a fault that ended a session. Returns the way past the batch that caused it, or null to try it again. */
  onFault(error: unknown, { refused, durable }: Outbox): WayPast | null {
    if (refused === null || !isRefusal(error)) return null;
    const isSize = isSizeRefusal(error);
    if (refused.rowLines === 0 || (durable === null && !isSize)) {
      this.#count = 0;
      return null;
    }
    this.#count = this.#position === durable ? this.#count + 1 : 1;
    this.#position = durable;
    this.#logRefusal(error, refused);
    if (!isSize && this.#count < TRIES) return null;
    this.#count = 0;
    if (refused.rowLines > 1 && this.batchBytes > SMALLEST_BATCH) {
      const half = Math.floor(Math.min(refused.bytes, this.batchBytes) / 2);
      this.batchBytes = isSize ? Math.max(half, SMALLEST_BATCH) : SMALLEST_BATCH;
      return { smaller: this.batchBytes };
    }
    if (isSize) return { table: refused.largest.table, isSize };
    const [table, other] = refused.tables;
    return table === undefined || other !== undefined ? 'copy' : { table, isSize };
  }

  #logRefusal(error: unknown, { bytes, rowLines, tables, largest }: RefusedBatch): void {
    const { code, message } = asTidemarkError(error);
    this.#log('batch-refused', {
      ...{ code, message, status: statusOf(error), position: this.#position, attempt: this.#count },
      ...{ bytes, rowLines, tables: tables.size, largestLine: largest.bytes },
    });
  }
}

const statusOf = (error: unknown) => (error instanceof RefusedRequest ? error.status : null);

const isSizeRefusal = (error: unknown) => statusOf(error) === 413;

/** Whether an answer refuses the batch itself. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof RefusedRequest)) return false;
  if (error.code === 'relay_failed' || error.code === 'relay_not_tidemark')
    return ![401, 429, 503].includes(error.status);
  return CODES.has(error.code);
}
