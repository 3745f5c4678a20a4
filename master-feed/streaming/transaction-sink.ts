import { TidemarkError } from '@tidemark/protocol/errors';
import type { SourcePosition } from '@tidemark/protocol/position';
import type { LineKind, LineWriter } from '../batching/line-writer.ts';
import type { Outbox } from '../batching/outbox.ts';
import type { LogSink, NumberedTable, RowKind } from '../source.ts';

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

/**
 * Writes each transaction of the log as a wire transaction, and sends it when it is complete. Omits transactions
 * without changes of published tables.
 */
export class TransactionSink implements LogSink {
  readonly #lines: LineWriter;
  readonly #outbox: Outbox;
  /** The open transaction, or null between transactions. */
  #open: { position: SourcePosition; committedAt: string; written: boolean } | null = null;

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

  heartbeat(position: SourcePosition, masterTime: string, current: boolean): void {
    this.#lines.heartbeat(position, masterTime, current);
    this.#outbox.flush();
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
