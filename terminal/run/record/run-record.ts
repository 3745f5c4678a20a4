import type { SnapshotManifest } from '@tidemark/protocol/api';
import type { Cursor } from '@tidemark/protocol/cursor';
import type { Fault } from '@tidemark/protocol/fault';
import type { Difference, Run } from '@tidemark/protocol/run';
import type { AppliedPage } from '@tidemark/replica/page-transaction';
import type { TableCount } from '@tidemark/replica/replica-summary';
import type { Progress } from '@tidemark/status/facts';
import type { Counts } from '@tidemark/table-store/feed-tables';
import type { RunState } from '../../machine/run-state.ts';
import {
  ComparisonProgress,
  type Measured,
  PageProgress,
  type PageTotals,
  RepairProgress,
  SnapshotProgress,
} from '../progress.ts';
import { addTables, totalOf } from './table-counts.ts';
import { marksBetween } from './table-marks.ts';

/**
 * Records a run under way: its present progress and, when it ends, the run for the history.
 *
 * It observes and decides nothing. All times are ms since 1970.
 */
export class RunRecord {
  readonly run: RunState;
  /** The replica's tables at the start. */
  readonly #before: readonly TableCount[];
  #stage: Progress['stage'] = 'preparing';
  #part: Measured;
  #tables: Counts[] = [];
  /** Bytes received over the network. */
  #bytes = 0;
  #lastDataAt: number;
  #deadlineAt: number | null = null;
  #comparison: { rows: number; tables: number; differences: Difference[] | null } | null = null;

  /** `tables`: the replica's tables at the start. */
  constructor(run: RunState, tables: readonly TableCount[]) {
    this.run = run;
    this.#before = tables;
    this.#part = new PageProgress({ changes: 0, bytes: 0 }, 0, run.startedAt);
    this.#lastDataAt = run.startedAt;
  }

  /** Adds bytes that arrived. 0: the relay showed that it is alive without sending data. */
  addReceived(bytes: number, now: number): void {
    this.#bytes += bytes;
    this.#lastDataAt = now;
  }

  /** Sets when the request in flight gives up. Null: none is in flight. */
  setDeadline(at: number | null): void {
    this.#deadlineAt = at;
  }

  /** The run asks for a snapshot, or the relay prepares it. */
  startPreparing(now: number): void {
    this.#stage = 'preparing';
    this.#lastDataAt = now;
  }

  /** The run begins to pull pages. `earlierBytes`: size of the pages that an earlier run received. */
  startPages(totals: PageTotals, earlierBytes: number, now: number): void {
    this.#enter('applying', new PageProgress(totals, earlierBytes, now));
    this.#lastDataAt = now;
  }

  /** Sets the totals of the pages, once they are known. */
  setPageTotals(totals: PageTotals): void {
    if (this.#part instanceof PageProgress) this.#part.setTotals(totals);
  }

  /** Adds a saved page. `received`: its changes, and its bytes before compression. */
  addPage({ tables, transactions }: AppliedPage, received: PageTotals, now: number): void {
    this.#tables = addTables(this.#tables, tables);
    this.#stage = 'applying';
    if (this.#part instanceof PageProgress)
      this.#part.addPage({ transactions, table: tables.at(-1)?.name ?? null }, received, now);
  }

  /** Adds written changes of a transaction whose parts were kept. */
  addWritten(changes: number, now: number): void {
    if (this.#part instanceof PageProgress) this.#part.addWritten(changes, now);
    this.#lastDataAt = now;
  }

  /** Sets how many bytes of a snapshot have arrived: `here` of `total`. */
  setDownloaded(manifest: SnapshotManifest, here: number, total: number, now: number): void {
    // A resumed download gets a new meter, so that the interruption does not lower its speed.
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

  /** Adds rows of the replica that were compared. */
  addCompared(table: string, rows: number, now: number): void {
    if (this.#part instanceof ComparisonProgress) this.#part.addRows(table, rows, now);
    this.#lastDataAt = now;
  }

  /** Sets the result of a comparison that was completed. */
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

  /** Returns the progress. `waitingFor`: the stage to show instead while the run waits for pages and applies none. */
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

  /**
   * Returns the run for the history. `left`: number of changes still waiting. Null: unknown. `tables`: the replica's
   * tables at the end.
   */
  toRun(
    run: RunState,
    outcome: Run['outcome'],
    fault: Fault | null,
    { now, to, left, tables }: { now: number; to: Cursor | null; left: number | null; tables: readonly TableCount[] },
  ): Run {
    const snapshot = run.basis.by === 'snapshot' ? run.basis.reason : null;
    const differences = this.#comparison?.differences ?? null;
    // Pages without rows for this terminal only move its cursor.
    const marks = marksBetween(this.#before, tables);
    const isUnchanged =
      this.#tables.length === 0 && snapshot === null && differences === null && Object.keys(marks).length === 0;
    return {
      id: run.id,
      startedAt: run.startedAt,
      endedAt: now,
      trigger: run.request.trigger,
      mode: run.request.mode,
      outcome: outcome === 'done' && isUnchanged ? 'nothing-new' : outcome,
      from: run.from,
      to,
      snapshot,
      ...totalOf(this.#tables),
      tables: this.#tables,
      bytes: this.#bytes,
      ...(this.#comparison === null || differences === null
        ? {}
        : { compared: { rows: this.#comparison.rows, tables: this.#comparison.tables }, differences }),
      ...marks,
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
