import { asTidemarkError } from '@tidemark/protocol/errors';
import type { Fault } from '@tidemark/protocol/fault';
import type { Run } from '@tidemark/protocol/run';
import type { Replica } from '@tidemark/replica/replica';
import { deriveStatus } from '@tidemark/status/derive';
import type { Facts } from '@tidemark/status/facts';
import { databaseError } from '@tidemark/table-store/database-error';
import type { FactBook } from '../../facts/fact-book.ts';
import type { FactPublisher } from '../../facts/fact-publisher.ts';
import { failureOf } from '../../relay/relay-errors.ts';
import { joinRuns } from '../../run/record/join-runs.ts';
import type { Log } from '../agent-api.ts';

/** Shortest interval between points of the lag chart while the agent follows the relay, ms. */
const SAMPLE_MS = 5_000;
/** Interval at which the status row is compared with the status, which also changes with time alone, ms. */
const REFRESH_MS = 30_000;
/** How many runs to search for the last scheduled one. */
const MAX_SEARCHED = 500;

export interface JournalDeps {
  book: FactBook;
  publisher: Pick<FactPublisher, 'publishSoon'>;
  facts(): Facts;
  log: Log;
  /** Called with the fault of each failed write. */
  onFault(fault: Fault): void;
}

/**
 * Writes runs, lag samples and the status row into the replica, where reports read them. A terminal that follows the
 * relay may go without a run for days, so the row also follows its polls, its failed attempts and the time.
 *
 * A failure to write does not fail the run. Damage that it reveals becomes a fact, and others are only logged.
 */
export class Journal {
  readonly #deps: JournalDeps;
  #sampledAt = 0;
  /** The status as last written, as JSON. */
  #written = '';
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(deps: JournalDeps) {
    this.#deps = deps;
  }

  /** Keeps the status row of the open replica current until {@link stop}. An answer of the relay, for example, ages. */
  keepCurrent(replica: () => Replica | null): void {
    this.#timer ??= setInterval(() => this.refresh(replica()), REFRESH_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Checks the write-ahead log, and writes the status row if the status differs from the one last written. */
  refresh(replica: Replica | null): void {
    this.#checkLog(replica);
    const { code, headline } = deriveStatus(this.#deps.facts(), Date.now());
    if (JSON.stringify([code, headline]) !== this.#written) this.writeStatus(replica);
  }

  /** Records a run that has ended, with a lag sample and the status row. */
  addRun(replica: Replica | null, run: Run): void {
    const { book } = this.#deps;
    const kept = joinRuns(book.lastRun, run) ?? run;
    book.addRun(kept);
    if (!replica) return;
    if (run.trigger !== 'watch') this.#sampledAt = 0;
    this.addSample(replica, Date.now());
    this.#write(replica, (history) => history.recordRun(kept));
    this.#checkLog(replica);
    this.writeStatus(replica);
  }

  /**
   * Adds a point to the lag chart, and writes the status row, unless the last point is too recent. `now`: ms since 1970.
   */
  addSample(replica: Replica | null, now: number): void {
    if (!replica || now - this.#sampledAt < SAMPLE_MS) return;
    const sample = this.#deps.book.sample(now);
    if (sample === null) return;
    this.#sampledAt = now;
    this.#write(replica, (history) => history.recordSample(sample));
    this.writeStatus(replica);
  }

  /** Writes the status row, unless work is under way: its end writes the row. */
  writeStatus(replica: Replica | null): void {
    if (!replica) return;
    const facts = this.#deps.facts();
    const { code, severity, headline } = deriveStatus(facts, Date.now());
    if (severity === 'busy') return;
    this.#written = JSON.stringify([code, headline]);
    this.#write(replica, (history) =>
      history.setStatus({
        checkedAt: facts.probe?.at ?? null,
        syncedAt: facts.lastSuccess?.endedAt ?? null,
        headSeq: facts.probe?.status.head?.seq ?? null,
        waiting: facts.waiting?.changes ?? null,
        code,
        headline,
      }),
    );
  }

  /** Checks the write-ahead log at rest. During a run, the terminal's own reads can hold the log. */
  #checkLog(replica: Replica | null): void {
    if (!replica || this.#deps.facts().phase.kind !== 'idle') return;
    this.#try(replica, () => {
      if (this.#deps.book.setLog(replica.checkLog(Date.now()))) this.#deps.publisher.publishSoon();
    });
  }

  #write(replica: Replica, work: (history: Replica['history']) => void): void {
    this.#try(replica, () => work(replica.history));
  }

  #try(replica: Replica, work: () => void): void {
    try {
      work();
    } catch (error) {
      const fault = asTidemarkError(databaseError(replica.file, error));
      this.#deps.onFault(failureOf(fault, false).fault);
      this.#deps.log('error', 'history.not_written', { detail: fault.message });
    }
  }
}

/**
 * Returns when the last run of a scheduled kind ended, ms since 1970: a pull or comparison in mode `sync`, any run in
 * mode `check`. Null: none is found.
 */
export function lastScheduledRunAt(replica: Replica, automatic: 'sync' | 'check'): number | null {
  const counts = automatic === 'check' ? () => true : (run: Run) => run.mode !== 'check';
  return replica.history.runs(null, MAX_SEARCHED).find(counts)?.endedAt ?? null;
}
