import type { Heartbeat } from '../ingest/writer-calls.ts';

/**
 * Computes how old the relay's data is. The lag is the time since the relay last held everything that the master had.
 * That was at the last heartbeat sent from the end of the master's log, or at the commit of the relay's newest
 * transaction if that was later. A transaction that the relay has not committed yet does not count.
 */

/** A feed counts as disconnected after this silence, in ms. It sends a heartbeat every 5 s. */
const SILENT_MS = 20_000;

export class SourceLag {
  readonly #now: () => number;
  /** When the relay last held everything that the master had, by the master's clock, in ms. */
  #completeAtMs = 0;
  /** When the last batch arrived, by the relay's clock, in ms; null if none has arrived since the relay started. */
  heardAtMs: number | null = null;
  /** The lag in ms; null if unknown. */
  lagMs: number | null = null;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Whether a batch or heartbeat arrived recently. */
  get connected(): boolean {
    return this.heardAtMs !== null && this.#now() - this.heardAtMs < SILENT_MS;
  }

  /**
   * Called after a batch is committed. `committedAt` is the commit time of the newest transaction, as the master wrote
   * it, or null if there is none.
   */
  onBatch(heartbeat: Heartbeat | null, committedAt: string | null): void {
    this.heardAtMs = this.#now();
    this.lagMs = this.#lagAfter(heartbeat, committedAt);
  }

  #lagAfter(heartbeat: Heartbeat | null, committedAt: string | null): number | null {
    if (heartbeat?.current) {
      this.#completeAtMs = Date.parse(heartbeat.masterTime);
      return 0;
    }
    if (committedAt === null) return null;
    // A batch without a heartbeat does not contain the master's clock, so use the relay's.
    const masterNowMs = heartbeat ? Date.parse(heartbeat.masterTime) : (this.heardAtMs ?? this.#now());
    return Math.max(0, masterNowMs - Math.max(Date.parse(committedAt), this.#completeAtMs));
  }
}
