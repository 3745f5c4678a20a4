import { createHash } from 'node:crypto';
import type { BatchAnswer } from '@tidemark/protocol/api.ts';
import type { SourcePosition } from '@tidemark/protocol/lines.ts';

/** Sends one batch; resolves when the relay has it on disk. */
export type SendBatch = (batch: Buffer) => Promise<BatchAnswer>;

/** A batch is sent before it passes this size, characters. */
const BATCH_SIZE = 2 * 1024 * 1024;
/** The source pauses while more than this waits, characters. */
const HIGH = 3 * BATCH_SIZE;

/**
 * Lines on their way to the relay. One batch is in flight; what comes meanwhile makes the next, so a slow
 * link makes larger batches and a fast one small delays.
 */
export class Outbox {
  readonly #send: SendBatch;
  #parts: string[] = [];
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
    this.#parts.push(line);
    this.#lines++;
    this.#size += line.length;
    if (this.#size >= BATCH_SIZE) this.flush();
  }

  /** Sends what there is, as soon as nothing is in flight. */
  flush(): void {
    if (this.#flying || this.#parts.length === 0 || this.#fault !== null) return;
    const body = this.#parts.join('');
    const lines = this.#lines;
    this.#flyingSize = this.#size;
    this.#parts = [];
    this.#lines = 0;
    this.#size = 0;
    this.#flying = this.#fly(body, lines);
  }

  get full(): boolean {
    return this.#size + this.#flyingSize >= HIGH;
  }

  /** Whether all that was written is on the relay's disk. */
  get empty(): boolean {
    return this.#parts.length === 0 && this.#flying === null;
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

  async #fly(body: string, lines: number): Promise<void> {
    try {
      const bytes = Buffer.from(body, 'utf8');
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      const answer = await this.#send(Buffer.concat([bytes, Buffer.from(`${JSON.stringify({ lines, sha256 })}\n`)]));
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
