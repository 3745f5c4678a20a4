import { createHash } from 'node:crypto';
import type { BatchAnswer } from '@tidemark/protocol/api';
import type { SourcePosition } from '@tidemark/protocol/position';

/**
 * Sends one batch. Resolves when the relay has it on disk. `sampledAtMs` is when the end of the log was read for the
 * newest current heartbeat in the batch, by the monotonic clock; null if it has none.
 */
export type SendBatch = (batch: Buffer, sampledAtMs?: number | null) => Promise<BatchAnswer>;

/** The outbox sends a batch that reaches this size, in bytes. */
const BATCH_SIZE = 2 * 1024 * 1024;
/** The source pauses while the outbox holds at least this many bytes. */
const FULL_SIZE = 3 * BATCH_SIZE;
/** Upper bound on the size of a trailer, in bytes. */
const TRAILER_SIZE = 128;
/** Upper bound on the UTF-8 bytes of one UTF-16 code unit. */
const UNIT_SIZE = 3;

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
  #drained: (() => void)[] = [];
  /** The position up to which the relay has everything on disk. */
  durable: SourcePosition | null;
  /** Called when `durable` has advanced. */
  onDurable: () => void = () => undefined;
  /** Called when a batch has failed. */
  onFault: (error: unknown) => void = () => undefined;

  constructor(send: SendBatch, durable: SourcePosition | null) {
    this.#send = send;
    this.durable = durable;
  }

  /** Adds a line, which ends with a newline. Throws the error of a failed batch. */
  write(line: string): void {
    if (this.#fault !== null) throw this.#fault;
    const room = this.#size + line.length * UNIT_SIZE + TRAILER_SIZE;
    if (room > this.#batch.length) this.#grow(room);
    this.#size += this.#batch.write(line, this.#size);
    this.#lines++;
    if (this.#size >= BATCH_SIZE) this.flush();
  }

  /** Notes that the last line is a current heartbeat, and when the end of the log was read for it. */
  onCurrent(sampledAtMs: number): void {
    this.#sampledAtMs = sampledAtMs;
  }

  /** Sends the waiting lines now, or after the batch in flight if there is one. */
  flush(): void {
    if (this.#inFlight || this.#size === 0 || this.#fault !== null) return;
    const batch = this.#batch;
    const size = this.#size;
    const sha256 = createHash('sha256').update(batch.subarray(0, size)).digest('hex');
    const trailer = batch.write(`${JSON.stringify({ lines: this.#lines, sha256 })}\n`, size);
    this.#inFlightSize = size;
    this.#batch = this.#spare ?? Buffer.allocUnsafeSlow(FULL_SIZE);
    this.#spare = null;
    const sampledAtMs = this.#sampledAtMs;
    this.#lines = 0;
    this.#size = 0;
    this.#sampledAtMs = null;
    this.#inFlight = this.#transmit(batch, size + trailer, sampledAtMs);
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
