import type { RelayStatus } from '@tidemark/protocol/api';
import type { Cursor } from '@tidemark/protocol/cursor';
import type { Run } from '@tidemark/protocol/run';
import { succeeded } from '@tidemark/replica/history';
import { type Facts, REMAINING_KEPT } from '@tidemark/status/facts';

/**
 * Keeps how many changes waited at the last answers of the relay, and how many still waited right after the last
 * automatic pulls. The trend of the backlog follows from both. It does no I/O. All times are ms since 1970.
 */

/** Number of status answers to keep for the trend. */
const MAX_TREND = 10;
/** An answer shows how much a pull left if it arrives within this time after the end of the pull, ms. */
const LEFT_MS = 15_000;

export class BacklogHistory {
  #trend: Facts['trend'] = [];
  #remaining: Facts['remaining'] = [];
  /** End of the last automatic pull, until the next answer. */
  #pulledAt: number | null = null;

  get facts(): Pick<Facts, 'trend' | 'remaining'> {
    return { trend: this.#trend, remaining: this.#remaining };
  }

  clear(): void {
    this.#trend = [];
    this.#remaining = [];
    this.#pulledAt = null;
  }

  /** Adds the relay's answer to a terminal at `cursor`. */
  addStatus({ behind, head }: RelayStatus, cursor: Cursor | null, heard: number): void {
    const pulledAt = this.#pulledAt;
    this.#pulledAt = null;
    if (behind === null || head === null || cursor === null) return;
    if (pulledAt !== null && heard - pulledAt <= LEFT_MS)
      this.#remaining = [...this.#remaining.slice(1 - REMAINING_KEPT), behind.changes];
    const point = { at: heard, changes: behind.changes, head: head.seq, cursor: cursor.seq };
    this.#trend = [...this.#trend.slice(1 - MAX_TREND), point];
  }

  /** Adds a run that has ended. */
  addRun(run: Run): void {
    if (run.mode === 'check') return;
    const isAutomatic = run.mode === 'now' && (run.trigger === 'watch' || run.trigger === 'schedule');
    this.#pulledAt = isAutomatic && succeeded(run) ? run.endedAt : null;
    if (!isAutomatic) this.#remaining = [];
  }
}
