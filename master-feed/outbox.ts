import { createHash } from 'node:crypto';
import type { BatchAnswer } from '@tidemark/protocol/api';
import type { SourcePosition } from '@tidemark/protocol/position';

/** Sends one batch; resolves when the relay has it on disk. */
export type SendBatch = (batch: Buffer) => Promise<BatchAnswer>;

/** A batch is sent before it passes this size, bytes. */
const BATCH_SIZE = 2 * 1024 * 1024;
/** The source pauses while more than this waits, bytes. */
const HIGH = 3 * BATCH_SIZE;
/** Longest trailer, bytes. */
const TRAILER_MOST = 128;
/** Bytes of UTF-8 that a character can take. */
const CHARACTER_MOST = 3;

/**
 * Lines on their way to the relay. One batch is in flight; what comes meanwhile makes the next, so a slow
 * link makes larger batches and a fast one small delays.
 */
export class Outbox {
  readonly #send: SendBatch;
  /** Lines are encoded as they come: kept as strings until they are sent, they would be most of what a feed takes of memory. */
  #batch: Buffer = Buffer.allocUnsafeSlow(HIGH);
  /** The memory of the batch that was sent last, for the next one. */
  #spare: Buffer | null = null;
  #lines = 0;
  #size = 0;
  #flying: Promise<void> | null = null;
  #flyingSize = 0;
  #fault: unknown = null;
  #drained: (() => void)[] = [];
  /** Position up to which the relay has everything on disk. */
  durable: SourcePosition | null;
  /** Told when `durable` moved. */
  onDurable: () => void = () => undefined;
  /** Told when the relay refused a batch or could not be reached. */
  onFault: (error: unknown) => void = () => undefined;

  constructor(send: SendBatch, durable: SourcePosition | null) {
    this.#send = send;
    this.durable = durable;
  }

  /** Adds a line, with its newline. Throws what the last batch failed with. */
  write(line: string): void {
    if (this.#fault !== null) throw this.#fault;
    const room = this.#size + line.length * CHARACTER_MOST + TRAILER_MOST;
    if (room > this.#batch.length) this.#grow(room);
    this.#size += this.#batch.write(line, this.#size);
    this.#lines++;
    if (this.#size >= BATCH_SIZE) this.flush();
  }

  /** Sends what there is, as soon as nothing is in flight. */
  flush(): void {
    if (this.#flying || this.#size === 0 || this.#fault !== null) return;
    const batch = this.#batch;
    const size = this.#size;
    const sha256 = createHash('sha256').update(batch.subarray(0, size)).digest('hex');
    const trailer = batch.write(`${JSON.stringify({ lines: this.#lines, sha256 })}\n`, size);
    this.#flyingSize = size;
    this.#batch = this.#spare ?? Buffer.allocUnsafeSlow(HIGH);
    this.#spare = null;
    this.#lines = 0;
    this.#size = 0;
    this.#flying = this.#fly(batch, size + trailer);
  }

  #grow(room: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(room, 2 * this.#batch.length));
    this.#batch.copy(larger, 0, 0, this.#size);
    this.#batch = larger;
  }

  get full(): boolean {
    return this.#size + this.#flyingSize >= HIGH;
  }

  /** Whether all that was written is on the relay's disk. */
  get empty(): boolean {
    return this.#size === 0 && this.#flying === null;
  }

  /** Resolves when there is room again. Throws what a batch failed with. */
  async room(): Promise<void> {
    while (this.full && this.#fault === null) {
      this.flush();
      await new Promise<void>((resolve) => this.#drained.push(resolve));
    }
    if (this.#fault !== null) throw this.#fault;
  }

  /** Resolves when all that was written is on the relay's disk. Throws what a batch failed with. */
  async drain(): Promise<void> {
    while (!this.empty && this.#fault === null) {
      this.flush();
      await this.#flying;
    }
    if (this.#fault !== null) throw this.#fault;
  }

  async #fly(batch: Buffer, size: number): Promise<void> {
    try {
      const answer = await this.#send(batch.subarray(0, size));
      // A row that was larger than all others does not keep its memory for ever.
      if (batch.length === HIGH) this.#spare = batch;
      if (answer.position !== null) this.durable = answer.position;
    } catch (error) {
      this.#fault = error ?? new Error('sending failed');
    }
    this.#flying = null;
    this.#flyingSize = 0;
    for (const wake of this.#drained.splice(0)) wake();
    if (this.#fault !== null) {
      this.onFault(this.#fault);
      return;
    }
    this.onDurable();
    this.flush();
  }
}
