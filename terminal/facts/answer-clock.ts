/**
 * Dates the relay's answers by this PC's clock, never later than the moment at which the relay wrote them (S13).
 *
 * An answer may have been on the way for long, and a long poll is answered long after it was asked. So neither time
 * dates an answer. The relay's own time does, after the difference between the two clocks is added. The quickest of the
 * last answers shows this difference best: each other answer was on the way for longer. The result is never before the
 * question and never after the arrival, so a clock that is set meanwhile does no harm.
 */

/** Number of answers to compare. The difference between two clocks changes only when one of them is set. */
const COMPARED = 20;

export class AnswerClock {
  /** Arrival by this PC's clock, minus the relay's time, of the last answers, in ms. */
  #differences: number[] = [];

  /** Returns when the relay wrote an answer. `relayNow`: the time in the answer. All times are ms since 1970. */
  date(relayNow: number, asked: number, heard: number): number {
    const isFirst = this.#differences.length === 0;
    this.#differences = [...this.#differences.slice(1 - COMPARED), heard - relayNow];
    // Nothing shows yet how long the first answer was on the way.
    if (isFirst) return Math.min(asked, heard);
    return Math.min(heard, Math.max(asked, relayNow + Math.min(...this.#differences)));
  }

  /** Drops the answers of an earlier relay. */
  reset(): void {
    this.#differences = [];
  }
}
