import { createHash } from 'node:crypto';
import type { BatchAnswer } from '@tidemark/protocol/api';
import type { SourcePosition } from '@tidemark/protocol/position';

/**
 * Sends one batch. Resolves when the relay has it on disk. `sampledAtMs` is when the end of the log was read for the
 * newest current heartbeat in the batch, by the monotonic clock; null if it has none.
 */
export type SendBatch = (batch: Buffer, sampledAtMs?: number | null) => Promise<BatchAnswer>;

/** The outbox sends a batch that reaches this size, in bytes. */
export const LARGEST_BATCH = 2 * 1024 * 1024;
/** The lowest such size, which only a line that is larger exceeds. */
export const SMALLEST_BATCH = 128 * 1024;
/** The source pauses while the outbox holds at least this many bytes. */
const FULL_SIZE = 3 * LARGEST_BATCH;
const NEWLINE = 0x0a;
/** Upper bound on the size of a trailer, in bytes. */
const TRAILER_SIZE = 128;
/** Upper bound on the UTF-8 bytes of one UTF-16 code unit. */
const UNIT_SIZE = 3;

/** The content of a batch that was not accepted. */
export interface RefusedBatch {
  bytes: number;
  /** Number of lines that change rows or tables. */
  rowLines: number;
  /** The numbers of their tables. */
  tables: ReadonlySet<number>;
  /** The largest of these lines. */
  largest: { bytes: number; table: number };
}

/**
 * Collects lines into batches and sends them to the relay. One batch is in flight at a time. Lines that arrive
 * meanwhile form the next batch, so a slow link produces larger batches and a fast link shorter delays.
 *
 * After a failed batch, the outbox sends nothing more. The next session begins at the relay's durable position.
 */
export class Outbox {
  readonly #send: SendBatch;
  /** The lines of the next batch, encoded on arrival. Stored as strings, they would take most of a feed's memory. */
  #batch: Buffer = Buffer.allocUnsafeSlow(FULL_SIZE);
  /** The buffer of the last batch, reused for a later one. */
  #spare: Buffer | null = null;
  #lines = 0;
  #size = 0;
  #sampledAtMs: number | null = null;
  #inFlight: Promise<void> | null = null;
  #inFlightSize = 0;
  #fault: unknown = null;
  /** The batch that failed; null while none has. */
  refused: RefusedBatch | null = null;
  readonly #batchBytes: number;
  #drained: (() => void)[] = [];
  /** The position up to which the relay has everything on disk. */
  durable: SourcePosition | null;
  /** Called when `durable` has advanced. */
  onDurable: () => void = () => undefined;
  /** Called when a batch has failed. */
  onFault: (error: unknown) => void = () => undefined;

  /** `batchBytes`: the size at which a batch is sent. Below the default, a batch exceeds it only with a single line. */
  constructor(send: SendBatch, durable: SourcePosition | null, batchBytes = LARGEST_BATCH) {
    this.#send = send;
    this.#batchBytes = batchBytes;
    this.durable = durable;
  }

  /** Adds a line, which ends with a newline. Throws the error of a failed batch. */
  write(line: string): void {
    if (this.#fault !== null) throw this.#fault;
    const room = this.#size + line.length * UNIT_SIZE + TRAILER_SIZE;
    if (room > this.#batch.length) this.#grow(room);
    this.#size += this.#batch.write(line, this.#size);
    this.#lines++;
    if (this.#size >= this.#batchBytes) this.flush();
  }

  /** Notes that the last line is a current heartbeat, and when the end of the log was read for it. */
  onCurrent(sampledAtMs: number): void {
    this.#sampledAtMs = sampledAtMs;
  }

  /** Sends the waiting lines now, or after the batch in flight if there is one. */
  flush(): void {
    if (this.#inFlight || this.#size === 0 || this.#fault !== null) return;
    const batch = this.#batch;
    const size = this.#endOfBatch();
    const rest = this.#size - size;
    const lines = rest === 0 ? this.#lines : linesIn(batch.subarray(0, size));
    const sampledAtMs = rest === 0 ? this.#sampledAtMs : null;
    this.#batch = this.#spare ?? Buffer.allocUnsafeSlow(Math.max(FULL_SIZE, rest));
    this.#spare = null;
    batch.copy(this.#batch, 0, size, this.#size);
    const sha256 = createHash('sha256').update(batch.subarray(0, size)).digest('hex');
    const trailer = batch.write(`${JSON.stringify({ lines, sha256 })}\n`, size);
    this.#inFlightSize = size;
    this.#lines -= lines;
    this.#size = rest;
    if (rest === 0) this.#sampledAtMs = null;
    this.#inFlight = this.#transmit(batch, size + trailer, sampledAtMs);
  }

  /** Returns the size of the next batch. With a lowered limit, it ends with the last line that fits. */
  #endOfBatch(): number {
    if (this.#batchBytes === LARGEST_BATCH || this.#size <= this.#batchBytes) return this.#size;
    const waiting = this.#batch.subarray(0, this.#size);
    return waiting.lastIndexOf(NEWLINE, this.#batchBytes - 1) + 1 || waiting.indexOf(NEWLINE) + 1;
  }

  #grow(room: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(room, 2 * this.#batch.length));
    this.#batch.copy(larger, 0, 0, this.#size);
    this.#batch = larger;
  }

  get full(): boolean {
    return this.#size + this.#inFlightSize >= FULL_SIZE;
  }

  /** Whether all written lines are on the relay's disk. */
  get empty(): boolean {
    return this.#size === 0 && this.#inFlight === null;
  }

  /** Resolves when the outbox is no longer full. Throws the error of a failed batch. */
  async room(): Promise<void> {
    while (this.full && this.#fault === null) {
      this.flush();
      await new Promise<void>((resolve) => this.#drained.push(resolve));
    }
    if (this.#fault !== null) throw this.#fault;
  }

  /** Resolves when all written lines are on the relay's disk. Throws the error of a failed batch. */
  async drain(): Promise<void> {
    while (!this.empty && this.#fault === null) {
      this.flush();
      await this.#inFlight;
    }
    if (this.#fault !== null) throw this.#fault;
  }

  async #transmit(batch: Buffer, size: number, sampledAtMs: number | null): Promise<void> {
    try {
      const answer = await this.#send(batch.subarray(0, size), sampledAtMs);
      // A buffer that grew for a large row is released, not reused.
      if (batch.length === FULL_SIZE) this.#spare = batch;
      if (answer.position !== null) this.durable = answer.position;
    } catch (error) {
      this.#fault = error ?? new Error('sending failed');
      this.refused = contentOf(batch.subarray(0, size));
    }
    this.#inFlight = null;
    this.#inFlightSize = 0;
    for (const wake of this.#drained.splice(0)) wake();
    if (this.#fault !== null) {
      this.onFault(this.#fault);
      return;
    }
    this.onDurable();
    this.flush();
  }
}

/** The beginning of a line that changes rows of a table: its kind and the table's number. */
const ROW_LINE = /^\["[iudptraLE]",(\d+)/;
/** Upper bound on the length of this beginning, in bytes. */
const BEGINNING = 32;

function linesIn(batch: Buffer): number {
  let lines = 0;
  for (let at = batch.indexOf(NEWLINE); at !== -1; at = batch.indexOf(NEWLINE, at + 1)) lines++;
  return lines;
}

function contentOf(batch: Buffer): RefusedBatch {
  const tables = new Set<number>();
  let rowLines = 0;
  let largest = { bytes: 0, table: 0 };
  for (let from = 0; from < batch.length; ) {
    const end = batch.indexOf(NEWLINE, from) + 1;
    const found = ROW_LINE.exec(batch.toString('latin1', from, Math.min(from + BEGINNING, end)));
    if (found) {
      const table = Number(found[1]);
      rowLines++;
      tables.add(table);
      if (end - from > largest.bytes) largest = { bytes: end - from, table };
    }
    from = end;
  }
  return { bytes: batch.length, rowLines, tables, largest };
}
