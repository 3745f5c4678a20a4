import { TidemarkError } from '@tidemark/protocol/errors';
import { isAfter, type SourcePosition } from '@tidemark/protocol/position';
import type { LineKind, LineWriter } from '../batching/line-writer.ts';
import type { Outbox } from '../batching/outbox.ts';
import type { LogEnd, LogSink, NumberedTable, RowKind } from '../source.ts';

export const LINE_KINDS: Record<RowKind, LineKind> = { insert: 'i', update: 'u', delete: 'd', partial: 'p' };

/** Thrown when tables have been altered since the session began and must be re-read. Contains their ids. */
export class SchemaChanged extends Error {
  override readonly name = 'SchemaChanged';
  readonly tableIds: readonly number[];

  constructor(tableIds: readonly number[], message: string) {
    super(message);
    this.tableIds = tableIds;
  }
}

/** The end of the log, and when it was read, in ms of the monotonic clock. */
export interface SampledEnd extends LogEnd {
  sampledAtMs: number;
}

/**
 * Number of ends that wait until the log has been read up to them. When there are more, the newest replaces the one
 * before it, so that the oldest is still reached.
 */
const MAX_LATE = 64;

/**
 * Writes each transaction of the log as a wire transaction, and sends it when it is complete. Omits transactions
 * without changes of published tables.
 */
export class TransactionSink implements LogSink {
  readonly #lines: LineWriter;
  readonly #outbox: Outbox;
  /** The open transaction, or null between transactions. */
  #open: { position: SourcePosition; committedAt: string; written: boolean } | null = null;
  /** The end to which the next heartbeat refers. */
  #asked: SampledEnd | null = null;
  /**
   * Ends that the log had not been read up to when they were answered, oldest first. Without them, a feed that is
   * always a second behind would never send a current heartbeat.
   */
  #late: SampledEnd[] = [];

  constructor(lines: LineWriter, outbox: Outbox) {
    this.#lines = lines;
    this.#outbox = outbox;
  }

  get full(): boolean {
    return this.#outbox.full;
  }

  room(): Promise<void> {
    return this.#outbox.room();
  }

  begin(position: SourcePosition, committedAt: string): void {
    this.#open = { position, committedAt, written: false };
  }

  row(kind: RowKind, { number, table }: NumberedTable, json: string): void {
    this.#write();
    this.#lines.declare(number, table.schema);
    this.#lines.row(LINE_KINDS[kind], number, json);
  }

  truncate({ number, table }: NumberedTable): void {
    this.#write();
    this.#lines.declare(number, table.schema);
    this.#lines.truncate(number);
  }

  commit(): void {
    if (this.#open?.written) this.#lines.commit();
    this.#open = null;
    this.#outbox.flush();
  }

  altered(tableIds: readonly number[], why: string): void {
    throw new SchemaChanged(tableIds, why);
  }

  /** Sets the end to which the next heartbeat refers. */
  ask(end: SampledEnd): void {
    if (this.#asked !== null) this.#wait(this.#asked);
    this.#asked = end;
  }

  heartbeat(position: SourcePosition, masterTime: string, current: boolean): void {
    const asked = this.#asked;
    this.#asked = null;
    this.#lines.heartbeat(position, masterTime, current);
    if (asked !== null && current) {
      this.#outbox.onCurrent(asked.sampledAtMs);
      this.#late = [];
    } else if (asked !== null) this.#wait(asked);
    this.#outbox.flush();
  }

  /** Sends a current heartbeat for the newest late end up to which the log has now been read. */
  reached(position: SourcePosition): void {
    const waiting = this.#late.findIndex((end) => isAfter(end.position, position));
    const reached = this.#late.splice(0, waiting < 0 ? this.#late.length : waiting).at(-1);
    if (!reached) return;
    this.#lines.heartbeat(position, reached.at, true);
    this.#outbox.onCurrent(reached.sampledAtMs);
    this.#outbox.flush();
  }

  #wait(end: SampledEnd): void {
    if (this.#late.length === MAX_LATE) this.#late.pop();
    this.#late.push(end);
  }

  /** Begins the transaction with its first change. */
  #write(): void {
    const open = this.#open;
    if (!open) throw new TidemarkError('source_unsupported', { detail: 'a change outside of a transaction' });
    if (open.written) return;
    open.written = true;
    this.#lines.begin(open.position, open.committedAt);
  }
}
