import type { SnapshotManifest } from '@tidemark/protocol/api';
import type { Cursor } from '@tidemark/protocol/cursor';
import type { Fault } from '@tidemark/protocol/fault';
import type { Difference, Run } from '@tidemark/protocol/run';
import type { AppliedPage } from '@tidemark/replica/page-transaction';
import type { Progress } from '@tidemark/status/facts';
import type { Counts } from '@tidemark/table-store/feed-tables';
import type { RunState } from '../machine/run-state.ts';
import {
  ComparisonProgress,
  type Measured,
  PageProgress,
  type PageTotals,
  RepairProgress,
  SnapshotProgress,
} from './progress.ts';
import { addTables, totalOf } from './table-counts.ts';

/**
 * Records a run under way: its progress now, and the run for the history when it ends.
 *
 * It observes and decides nothing. All times are ms since 1970.
 */
export class RunRecord {
  readonly run: RunState;
  #stage: Progress['stage'] = 'preparing';
  #part: Measured;
  #tables: Counts[] = [];
  /** As they came over the network. */
  #bytes = 0;
  #lastDataAt: number;
  #deadlineAt: number | null = null;
  #comparison: { rows: number; tables: number; differences: Difference[] | null } | null = null;

  constructor(run: RunState) {
    this.run = run;
    this.#part = new PageProgress({ changes: 0, bytes: 0 }, 0, run.startedAt);
    this.#lastDataAt = run.startedAt;
  }

  /** Bytes arrived, or with 0 another sign of life of the relay. */
  addReceived(bytes: number, now: number): void {
    this.#bytes += bytes;
    this.#lastDataAt = now;
  }

  /** When the request in flight gives up; null: none is in flight. */
  setDeadline(at: number | null): void {
    this.#deadlineAt = at;
  }

  /** The relay is asked for a snapshot, or prepares it. */
  startPreparing(now: number): void {
    this.#stage = 'preparing';
    this.#lastDataAt = now;
  }

  /** Pages follow. `earlierBytes`: kept by an earlier run. */
  startPages(totals: PageTotals, earlierBytes: number, now: number): void {
    this.#enter('applying', new PageProgress(totals, earlierBytes, now));
    this.#lastDataAt = now;
  }

  /** The totals of the pages have become known. */
  setPageTotals(totals: PageTotals): void {
    if (this.#part instanceof PageProgress) this.#part.setTotals(totals);
  }

  /** A page was saved. `received`: its changes, and its bytes before compression. */
  addPage({ tables, transactions }: AppliedPage, received: PageTotals, now: number): void {
    this.#tables = addTables(this.#tables, tables);
    this.#stage = 'applying';
    if (this.#part instanceof PageProgress)
      this.#part.addPage({ transactions, table: tables.at(-1)?.name ?? null }, received, now);
  }

  /** Changes of a transaction whose parts were kept are written. */
  addWritten(changes: number, now: number): void {
    if (this.#part instanceof PageProgress) this.#part.addWritten(changes, now);
    this.#lastDataAt = now;
  }

  /** `here` of `total` bytes of a snapshot have arrived. */
  setDownloaded(manifest: SnapshotManifest, here: number, total: number, now: number): void {
    // A download that was interrupted is measured again: the pause is none of its speed.
    if (this.#stage === 'downloading' && this.#part instanceof SnapshotProgress) this.#part.setHere(here, now);
    else this.#enter('downloading', new SnapshotProgress(manifest, here, total, now));
  }

  addSnapshot(manifest: SnapshotManifest): void {
    const tables = manifest.tables.map(({ name, rows }) => ({
      name,
      inserted: rows,
      updated: 0,
      deleted: 0,
      truncated: 0,
    }));
    this.#tables = addTables(this.#tables, tables);
  }

  /** The rest of the run is one long write. */
  startFinishing(): void {
    this.#stage = 'finishing';
  }

  startComparison(manifest: SnapshotManifest, now: number): void {
    this.#comparison = { rows: manifest.rows, tables: manifest.tables.length, differences: null };
    this.#enter('comparing', new ComparisonProgress(manifest, now));
    this.#lastDataAt = now;
  }

  /** Rows of a table of the replica were compared. */
  addCompared(table: string, rows: number, now: number): void {
    if (this.#part instanceof ComparisonProgress) this.#part.addRows(table, rows, now);
    this.#lastDataAt = now;
  }

  /** The result of a comparison that came to its end. */
  setDifferences(differences: Difference[]): void {
    if (this.#comparison) this.#comparison.differences = differences;
  }

  startRepair(differences: Difference[]): void {
    this.#enter('repairing', new RepairProgress(differences));
  }

  addRepaired(tables: Counts[]): void {
    this.#tables = addTables(this.#tables, tables);
    if (this.#part instanceof RepairProgress) this.#part.finish();
  }

  /** `waitingFor`: the stage to show instead, while pages are awaited and none is applied. */
  progress(run: RunState, waitingFor: Progress['stage'] | null, now: number): Progress {
    return {
      runId: run.id,
      startedAt: run.startedAt,
      stage: waitingFor ?? this.#stage,
      ...this.#part.read(now),
      target: run.target?.seq ?? null,
      lastDataAt: this.#lastDataAt,
      deadlineAt: this.#deadlineAt,
    };
  }

  /** The run as the history keeps it. `left`: changes still waiting; null: not known. */
  toRun(
    run: RunState,
    outcome: Run['outcome'],
    fault: Fault | null,
    { now, to, left }: { now: number; to: Cursor | null; left: number | null },
  ): Run {
    const snapshot = run.basis.by === 'snapshot' ? run.basis.reason : null;
    const differences = this.#comparison?.differences ?? null;
    // Pages that hold nothing for this terminal only move its cursor.
    const nothingCame = this.#tables.length === 0 && snapshot === null && differences === null;
    return {
      id: run.id,
      startedAt: run.startedAt,
      endedAt: now,
      trigger: run.request.trigger,
      mode: run.request.mode,
      outcome: outcome === 'done' && nothingCame ? 'nothing-new' : outcome,
      from: run.from,
      to,
      snapshot,
      ...totalOf(this.#tables),
      tables: this.#tables,
      bytes: this.#bytes,
      ...(this.#comparison === null || differences === null
        ? {}
        : { compared: { rows: this.#comparison.rows, tables: this.#comparison.tables }, differences }),
      left,
      retries: run.failures.total,
      fault,
    };
  }

  #enter(stage: Progress['stage'], part: Measured): void {
    this.#stage = stage;
    this.#part = part;
  }
}
