import type { SnapshotManifest } from '@tidemark/protocol/api';
import type { Cursor } from '@tidemark/protocol/cursor';
import type { Fault } from '@tidemark/protocol/fault';
import type { Difference, Run } from '@tidemark/protocol/run';
import type { AppliedPage } from '@tidemark/replica/page-transaction';
import type { Progress } from '@tidemark/status/facts';
import type { Counts } from '@tidemark/table-store/feed-tables';
import type { RunState } from '../machine/run-state.ts';
import { Meter } from './meter.ts';

/** Runs that follow the relay are kept as one, if they begin within this time. */
const FOLLOWED_MS = 60_000;

/** What a run under way has received and applied. */
export class RunRecord {
  readonly run: RunState;
  #tables = new Map<string, Counts>();
  #bytes = 0;
  #meter: Meter;
  #lastDataAt: number;
  #deadlineAt: number | null = null;
  #stage: Progress['stage'] = 'preparing';
  #unit: Progress['unit'] = 'changes';
  #done = 0;
  #total = 0;
  #bytesDone = 0;
  #bytesTotal = 0;
  /** Of the pages, what an earlier run had received. */
  #before = { changes: 0, bytes: 0 };
  /** How much of the pages is applied: what came since is of a transaction that goes on in the next page, and kept aside. */
  #applied = 0;
  /** How many changes of that transaction are applied, while they are; null: it goes on. */
  #saved: number | null = null;
  #table: string | null = null;
  #tableIndex = 0;
  #tableCount = 0;
  #differences: Difference[] | null = null;
  /** Of a comparison. */
  #extent: { rows: number; tables: string[] } = { rows: 0, tables: [] };

  constructor(run: RunState) {
    this.run = run;
    this.#meter = new Meter(run.startedAt, 0);
    this.#lastDataAt = run.startedAt;
  }

  received(bytes: number, now: number): void {
    this.#bytes += bytes;
    this.#lastDataAt = now;
  }

  deadline(at: number | null): void {
    this.#deadlineAt = at;
  }

  /** The relay is asked for a copy, or prepares it. */
  preparing(now: number): void {
    this.#stage = 'preparing';
    this.#lastDataAt = now;
  }

  /** A snapshot is on its way: `here` bytes of `total` have come. */
  downloading(manifest: SnapshotManifest, here: number, total: number, now: number): void {
    if (this.#stage !== 'downloading') this.#meter = new Meter(now, rowsAt(manifest, here, total));
    this.#stage = 'downloading';
    this.#unit = 'rows';
    this.#before = { changes: 0, bytes: 0 };
    this.#total = manifest.rows;
    this.#done = rowsAt(manifest, here, total);
    this.#bytesDone = here;
    this.#bytesTotal = total;
    this.#tableCount = manifest.tables.length;
    let rows = this.#done;
    const at = manifest.tables.findIndex((table) => {
      rows -= table.rows;
      return rows < 0;
    });
    const index = at === -1 ? manifest.tables.length - 1 : at;
    this.#table = manifest.tables[index]?.name ?? null;
    this.#tableIndex = index + 1;
    this.#meter.count(now, this.#done);
  }

  finishing(): void {
    this.#stage = 'finishing';
  }

  /** So many more changes of a transaction that was kept aside are applied. */
  saving(changes: number, now: number): void {
    if (this.#saved === null) this.#meter = new Meter(now, 0);
    this.#saved = (this.#saved ?? 0) + changes;
    this.#meter.count(now, this.#saved);
    this.#lastDataAt = now;
  }

  installed(manifest: SnapshotManifest): void {
    for (const { name, rows } of manifest.tables) this.#count({ ...nothing(name), inserted: rows });
  }

  /** A comparison begins. */
  comparing(manifest: SnapshotManifest, now: number): void {
    this.#extent = { rows: manifest.rows, tables: manifest.tables.map(({ name }) => name) };
    this.#stage = 'comparing';
    this.#unit = 'rows';
    this.#done = 0;
    this.#total = manifest.rows;
    this.#bytesDone = 0;
    this.#bytesTotal = 0;
    this.#table = null;
    this.#tableIndex = 0;
    this.#tableCount = manifest.tables.length;
    this.#lastDataAt = now;
    this.#meter = new Meter(now, 0);
  }

  /** So many more rows of a table here were compared. */
  compared(table: string, rows: number, now: number): void {
    this.#done += rows;
    this.#table = table;
    this.#tableIndex = this.#extent.tables.indexOf(table) + 1;
    this.#lastDataAt = now;
    this.#meter.count(now, this.#done);
  }

  /** A comparison has ended. */
  found(differences: Difference[]): void {
    this.#differences = differences;
  }

  /** What was found is written. */
  repairing(differences: Difference[]): void {
    this.#stage = 'repairing';
    this.#done = 0;
    this.#total = differences.reduce((sum, { missing, extra, different }) => sum + missing + extra + different, 0);
    this.#table = null;
    this.#tableIndex = 0;
    this.#tableCount = differences.length;
  }

  repaired(tables: Counts[]): void {
    for (const counts of tables) this.#count(counts);
    this.#done = this.#total;
  }

  /** Pages begin, of which `here` bytes have come before. Totals 0: not known. */
  pages(totals: { changes: number; bytes: number }, here: number, now: number): void {
    this.#stage = 'applying';
    this.#unit = 'changes';
    this.#done = 0;
    this.#bytesDone = 0;
    this.#before = { changes: 0, bytes: here };
    this.#applied = 0;
    this.#total = 0;
    this.#bytesTotal = 0;
    this.#meter = new Meter(now, 0);
    this.totals(totals);
    this.#table = null;
    this.#tableIndex = 0;
    this.#tableCount = 0;
    this.#lastDataAt = now;
  }

  /** What the pages will have brought in all. */
  totals({ changes, bytes }: { changes: number; bytes: number }): void {
    this.#total = changes;
    this.#bytesTotal = bytes;
    // What came before was not counted by changes: its part of them is that of its bytes.
    this.#before.changes = bytes > 0 ? Math.floor((changes * Math.min(this.#before.bytes, bytes)) / bytes) : 0;
  }

  /** A page is saved, which held `received`: applied, or, of a transaction that goes on, kept aside. */
  applied(page: AppliedPage, received: { changes: number; bytes: number }, now: number): void {
    for (const counts of page.tables) this.#count(counts);
    this.#stage = 'applying';
    this.#done += received.changes;
    this.#bytesDone += received.bytes;
    if (page.transactions > 0) this.#applied = this.#before.changes + this.#done;
    if (this.#saved !== null) this.#meter = new Meter(now, this.#done);
    this.#saved = null;
    this.#table = page.tables.at(-1)?.name ?? this.#table;
    this.#meter.count(now, this.#done);
  }

  /** `stage`: while pages come, what is waited for, with none to apply. */
  progress(run: RunState, stage: Progress['stage'] | null, now: number): Progress {
    const arrived = this.#before.changes + this.#done;
    const done = this.#saved === null ? arrived : this.#applied + this.#saved;
    const total = Math.max(0, this.#total - this.#before.changes);
    return {
      runId: run.id,
      startedAt: run.startedAt,
      stage: stage ?? this.#stage,
      unit: this.#unit,
      done: this.#total > 0 ? Math.min(done, this.#total) : done,
      total: this.#total,
      bytes: this.#before.bytes + this.#bytesDone,
      bytesTotal: this.#bytesTotal,
      table: this.#table,
      tableIndex: this.#tableIndex,
      tableCount: this.#tableCount,
      target: run.target?.seq ?? null,
      lastDataAt: this.#lastDataAt,
      deadlineAt: this.#deadlineAt,
      ...(this.#saved === null
        ? this.#meter.read(now, this.#done, total)
        : this.#meter.read(now, this.#saved, arrived - this.#applied)),
    };
  }

  end(
    run: RunState,
    outcome: Run['outcome'],
    fault: Fault | null,
    { now, to, left }: { now: number; to: Cursor | null; left: number | null },
  ): Run {
    const tables = [...this.#tables.values()];
    // Pages that only moved the cursor, past what is for others, brought nothing.
    const nothingCame = tables.length === 0 && run.basis.by !== 'snapshot' && this.#differences === null;
    const sum = (of: keyof Omit<Counts, 'name'>) => tables.reduce((total, table) => total + table[of], 0);
    return {
      id: run.id,
      startedAt: run.startedAt,
      endedAt: now,
      trigger: run.request.trigger,
      mode: run.request.mode,
      outcome: outcome === 'done' && nothingCame ? 'nothing-new' : outcome,
      from: run.from,
      to,
      snapshot: run.basis.by === 'snapshot' ? run.basis.reason : null,
      inserted: sum('inserted'),
      updated: sum('updated'),
      deleted: sum('deleted'),
      truncated: sum('truncated'),
      tables,
      bytes: this.#bytes,
      ...(this.#differences === null
        ? {}
        : {
            compared: { rows: this.#extent.rows, tables: this.#extent.tables.length },
            differences: this.#differences,
          }),
      left,
      retries: run.failures.total,
      fault,
    };
  }

  #count(counts: Counts): void {
    const have = this.#tables.get(counts.name);
    this.#tables.set(counts.name, have ? { name: counts.name, ...add(have, counts) } : counts);
  }
}

/** Joins a run that followed the relay to the one before it, if that one did too and was near; null: it stands for itself. */
export function joined(before: Run | null, run: Run): Run | null {
  if (before === null || before.trigger !== 'watch' || run.trigger !== 'watch') return null;
  if (before.outcome !== 'done' || run.outcome !== 'done' || before.snapshot !== null || run.snapshot !== null)
    return null;
  if (run.startedAt - before.startedAt > FOLLOWED_MS) return null;
  if (before.differences !== undefined || run.differences !== undefined) return null;
  const tables = new Map(before.tables.map((table) => [table.name, table]));
  for (const table of run.tables) {
    const have = tables.get(table.name);
    tables.set(table.name, have ? { name: table.name, ...add(have, table) } : table);
  }
  return {
    ...run,
    ...add(before, run),
    id: before.id,
    startedAt: before.startedAt,
    from: before.from,
    tables: [...tables.values()],
    bytes: before.bytes + run.bytes,
    retries: before.retries + run.retries,
  };
}

type Numbers = Omit<Counts, 'name'>;

function add(a: Numbers, b: Numbers): Numbers {
  return {
    inserted: a.inserted + b.inserted,
    updated: a.updated + b.updated,
    deleted: a.deleted + b.deleted,
    truncated: a.truncated + b.truncated,
  };
}

const nothing = (name: string): Counts => ({ name, inserted: 0, updated: 0, deleted: 0, truncated: 0 });

/** Rows that so many bytes of a copy hold, by its average. */
const rowsAt = (manifest: SnapshotManifest, here: number, total: number): number =>
  Math.floor((manifest.rows * Math.min(here, total)) / total);
