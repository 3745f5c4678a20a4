import type { Heartbeat } from '../ingest/writer-calls.ts';

/**
 * How old the relay's data is. The feed reports the master's clock and the end of its log in heartbeats. The lag is the time since the relay held everything that the master
 * had: at a heartbeat sent from the end of the master's log, or when its newest transaction was committed. A transaction
 * that has been read but not committed does not count.
 */

/** A feed that was silent for this long is not connected, ms. It sends a heartbeat every 5 s. */
const SILENT_MS = 20_000;

export class SourceLag {
  readonly #now: () => number;
  /** When the relay last held everything, by the master's clock, ms. */
  #completeAtMs = 0;
  /** When a batch last arrived, by the relay's clock, ms; null: not since the relay started. */
  heardAtMs: number | null = null;
  /** Null: not known. */
  lagMs: number | null = null;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Whether a batch or heartbeat arrived recently. */
  get connected(): boolean {
    return this.heardAtMs !== null && this.#now() - this.heardAtMs < SILENT_MS;
  }

  /** A batch was committed. `committedAt`: the master's text of the newest transaction; null: there is none. */
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
    // A batch without a heartbeat does not carry the master's clock, so the relay's is used.
    const masterNowMs = heartbeat ? Date.parse(heartbeat.masterTime) : (this.heardAtMs ?? this.#now());
    return Math.max(0, masterNowMs - Math.max(Date.parse(committedAt), this.#completeAtMs));
  }
}
