import { elapsedMs, type Moment } from './moment.ts';

/**
 * Measures how old the relay's data is (S12). The lag is the time, at the moment of asking, since the relay last held
 * everything that the master had. It grows while nothing arrives, and is unknown until the first current heartbeat
 * after the relay's start.
 *
 * A current heartbeat counts from when the feed read the end of the master's log, not from when it arrived, because it
 * may have waited in the feed or on the way. All moments are of the relay's own clocks.
 */

/** A feed counts as silent after this time, in ms. It sends a heartbeat every 5 s. */
const SILENT_MS = 20_000;

export class SourceLag {
  readonly #now: () => Moment;
  /** The latest moment at which the relay is known to have held everything that the master had. */
  #completeAt: Moment | null = null;
  #heardAt: Moment | null = null;

  constructor(now: () => Moment) {
    this.#now = now;
  }

  /** When the last batch arrived, by the relay's clock, in ms; null if none has arrived since the relay started. */
  get heardAtMs(): number | null {
    return this.#heardAt?.wallMs ?? null;
  }

  /** Whether a batch or heartbeat arrived recently. */
  get heard(): boolean {
    return this.#heardAt !== null && elapsedMs(this.#heardAt, this.#now()) < SILENT_MS;
  }

  /** The lag now, in ms; null if unknown. */
  get lagMs(): number | null {
    return this.#completeAt === null ? null : Math.round(elapsedMs(this.#completeAt, this.#now()));
  }

  /**
   * Called after a batch is committed. `sampledAt` is a moment no later than the one at which the feed read the end of
   * the log, if a heartbeat of the batch was sent from there; otherwise null.
   */
  onBatch(sampledAt: Moment | null): void {
    this.#heardAt = this.#now();
    if (sampledAt === null) return;
    if (this.#completeAt === null || sampledAt.monotonicMs > this.#completeAt.monotonicMs) this.#completeAt = sampledAt;
  }
}
