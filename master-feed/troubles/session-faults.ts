import type { SessionAnswer } from '@tidemark/protocol/api';
import { asTidemarkError, TidemarkError } from '@tidemark/protocol/errors';
import type { LineWriter } from '../batching/line-writer.ts';
import type { Outbox } from '../batching/outbox.ts';
import { BaseCopyNeeded, type Log, TableFault } from '../source.ts';
import { FailedPlace, refusedTable, unnamedRefusal } from './failed-place.ts';
import { RefusedBatches } from './refused-batch.ts';
import type { TableTroubles } from './table-troubles.ts';

/** Chooses the remedy for the error that ended a session: set a table aside, take a base copy, or try again. */

export type Remedy = { setAside: TableFault } | { baseCopy: string } | 'smaller-batches';

export class SessionFaults {
  readonly #log: Log;
  readonly #troubles: TableTroubles;
  readonly #place: FailedPlace;
  readonly #refused: RefusedBatches;

  constructor(troubles: TableTroubles, log: Log, now: () => number) {
    this.#log = log;
    this.#troubles = troubles;
    this.#place = new FailedPlace(now);
    this.#refused = new RefusedBatches(log);
  }

  /** The size at which a batch is sent. */
  get batchBytes(): number {
    return this.#refused.batchBytes;
  }

  /**
   * Sends a heartbeat before anything else if the last batch at the session's position was refused. Throws the error of
   * the heartbeat, which shows that the batch is not the cause.
   */
  async probe({ position, committedAt }: SessionAnswer, lines: LineWriter, outbox: Outbox): Promise<void> {
    if (position === null || !this.#refused.isSuspect(position)) return;
    lines.heartbeat(position, committedAt ?? new Date(0).toISOString(), false);
    await outbox.drain();
  }

  /** Returns the remedy, or null if the session must be tried again after a wait. */
  remedyFor(error: unknown, lines: LineWriter, outbox: Outbox): Remedy | null {
    const cause = causeOf(error);
    if (cause instanceof BaseCopyNeeded) return { baseCopy: cause.message };
    const fault = tableFaultOf(error) ?? refusedTable(error, this.#troubles.ids);
    if (fault !== null) return { setAside: fault };
    const { message } = asTidemarkError(error);
    if (this.#place.isPermanent(error, outbox.durable))
      return { baseCopy: `the log cannot be read at ${outbox.durable}: ${message}` };
    const way = this.#refused.onFault(error, outbox);
    if (way === null) return null;
    if (way === 'copy')
      return this.#place.mayCopy() ? { baseCopy: `the batch after ${outbox.durable} is refused: ${message}` } : null;
    if ('smaller' in way) {
      this.#log('smaller-batches', { bytes: way.smaller });
      return 'smaller-batches';
    }
    const { isSize } = way;
    const blamed = { table: lines.nameOf(way.table) ?? '', isSize, bytes: outbox.refused?.bytes ?? 0 };
    const refused = unnamedRefusal(error, blamed, this.#troubles.ids);
    return refused && { setAside: refused };
  }
}

/** Returns the cause of an error with a code, and any other error unchanged. */
export const causeOf = (error: unknown): unknown => (error instanceof TidemarkError ? error.cause : error);

/** Returns the fault of one table that ended a session, or null. */
function tableFaultOf(error: unknown): TableFault | null {
  if (error instanceof TableFault) return error;
  const cause = causeOf(error);
  return cause instanceof TableFault ? cause : null;
}
