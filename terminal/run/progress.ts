import type { SnapshotManifest } from '@tidemark/protocol/api';
import type { Difference } from '@tidemark/protocol/run';
import type { Progress } from '@tidemark/status/facts';
import { Meter } from './meter.ts';

/**
 * Measures the progress of the parts of a run: pages, a snapshot, a comparison, a repair. Each part has its own unit
 * and its own meter, because their speeds are unrelated. All times are ms since 1970.
 */

/** The progress of one part of a run. */
export type Measure = Pick<
  Progress,
  'unit' | 'done' | 'total' | 'bytes' | 'bytesTotal' | 'table' | 'tableIndex' | 'tableCount' | 'rate' | 'etaS'
>;

export interface Measured {
  read(now: number): Measure;
}

/** Number of changes, and bytes of pages before compression. 0: unknown. */
export interface PageTotals {
  changes: number;
  bytes: number;
}

/**
 * The progress of pages. The replica keeps the parts of a transaction that spans pages, and applies them with its last
 * part. That may take a while, so meanwhile the progress counts written changes.
 */
export class PageProgress implements Measured {
  #totals: PageTotals = { changes: 0, bytes: 0 };
  /** Pages that an earlier run received. */
  readonly #earlier: PageTotals;
  #received: PageTotals = { changes: 0, bytes: 0 };
  /** Number of changes applied, including those that an earlier run received. */
  #appliedChanges = 0;
  /**
   * Number of changes written so far of the transaction whose kept parts are being applied. Null when there is no such
   * transaction.
   */
  #writtenChanges: number | null = null;
  #table: string | null = null;
  #meter: Meter;

  /** `earlierBytes`: size of the pages that an earlier run received. */
  constructor(totals: PageTotals, earlierBytes: number, now: number) {
    this.#earlier = { changes: 0, bytes: earlierBytes };
    this.#meter = new Meter(now, 0);
    this.setTotals(totals);
  }

  setTotals(totals: PageTotals): void {
    this.#totals = totals;
    const { changes, bytes } = totals;
    // The number of changes in the earlier run's pages is unknown. Assume that it is proportional to their bytes.
    this.#earlier.changes = bytes > 0 ? Math.floor((changes * Math.min(this.#earlier.bytes, bytes)) / bytes) : 0;
  }

  /** Adds a saved page. `transactions`: how many it completed. `table`: the last table that it changed. */
  addPage(page: { transactions: number; table: string | null }, received: PageTotals, now: number): void {
    const { changes, bytes } = this.#received;
    this.#received = { changes: changes + received.changes, bytes: bytes + received.bytes };
    if (page.transactions > 0) this.#appliedChanges = this.#arrivedChanges;
    if (this.#writtenChanges !== null) this.#meter = new Meter(now, this.#received.changes);
    this.#writtenChanges = null;
    this.#table = page.table ?? this.#table;
    this.#meter.count(now, this.#received.changes);
  }

  /** Adds written changes of a transaction whose parts were kept. */
  addWritten(changes: number, now: number): void {
    if (this.#writtenChanges === null) this.#meter = new Meter(now, 0);
    this.#writtenChanges = (this.#writtenChanges ?? 0) + changes;
    this.#meter.count(now, this.#writtenChanges);
  }

  read(now: number): Measure {
    const arrived = this.#arrivedChanges;
    const written = this.#writtenChanges;
    const { changes: total, bytes: bytesTotal } = this.#totals;
    const done = written === null ? arrived : this.#appliedChanges + written;
    return {
      unit: 'changes',
      done: total > 0 ? Math.min(done, total) : done,
      total,
      bytes: this.#earlier.bytes + this.#received.bytes,
      bytesTotal,
      table: this.#table,
      tableIndex: 0,
      tableCount: 0,
      ...(written === null
        ? this.#meter.read(now, this.#received.changes, Math.max(0, total - this.#earlier.changes))
        : this.#meter.read(now, written, arrived - this.#appliedChanges)),
    };
  }

  get #arrivedChanges(): number {
    return this.#earlier.changes + this.#received.changes;
  }
}

/** The progress of a snapshot download. The number of rows is estimated from the bytes. */
export class SnapshotProgress implements Measured {
  readonly #manifest: SnapshotManifest;
  /** Size of the download, bytes. */
  readonly #total: number;
  #here: number;
  readonly #meter: Meter;

  constructor(manifest: SnapshotManifest, here: number, total: number, now: number) {
    this.#manifest = manifest;
    this.#total = total;
    this.#here = here;
    this.#meter = new Meter(now, this.#rows);
  }

  setHere(bytes: number, now: number): void {
    this.#here = bytes;
    this.#meter.count(now, this.#rows);
  }

  read(now: number): Measure {
    const { rows, tables } = this.#manifest;
    const index = this.#tableIndex;
    return {
      unit: 'rows',
      done: rows > 0 ? Math.min(this.#rows, rows) : this.#rows,
      total: rows,
      bytes: this.#here,
      bytesTotal: this.#total,
      table: tables[index]?.name ?? null,
      tableIndex: index + 1,
      tableCount: tables.length,
      ...this.#meter.read(now, this.#rows, rows),
    };
  }

  get #rows(): number {
    return Math.floor((this.#manifest.rows * Math.min(this.#here, this.#total)) / this.#total);
  }

  /** The index of the table that contains the last estimated row. */
  get #tableIndex(): number {
    const { tables } = this.#manifest;
    let rows = this.#rows;
    const index = tables.findIndex((table) => {
      rows -= table.rows;
      return rows < 0;
    });
    return index === -1 ? tables.length - 1 : index;
  }
}

/** The progress of a comparison, which reads each row of the replica. */
export class ComparisonProgress implements Measured {
  readonly #total: number;
  readonly #tables: string[];
  #done = 0;
  #table: string | null = null;
  readonly #meter: Meter;

  constructor({ rows, tables }: SnapshotManifest, now: number) {
    this.#total = rows;
    this.#tables = tables.map(({ name }) => name);
    this.#meter = new Meter(now, 0);
  }

  addRows(table: string, rows: number, now: number): void {
    this.#done += rows;
    this.#table = table;
    this.#meter.count(now, this.#done);
  }

  read(now: number): Measure {
    return {
      unit: 'rows',
      done: this.#total > 0 ? Math.min(this.#done, this.#total) : this.#done,
      total: this.#total,
      bytes: 0,
      bytesTotal: 0,
      table: this.#table,
      tableIndex: this.#table === null ? 0 : this.#tables.indexOf(this.#table) + 1,
      tableCount: this.#tables.length,
      ...this.#meter.read(now, this.#done, this.#total),
    };
  }
}

/** The progress of a repair, which is written in one step. */
export class RepairProgress implements Measured {
  readonly #total: number;
  readonly #tableCount: number;
  #done = 0;

  constructor(differences: Difference[]) {
    this.#total = differences.reduce((sum, { missing, extra, different }) => sum + missing + extra + different, 0);
    this.#tableCount = differences.length;
  }

  finish(): void {
    this.#done = this.#total;
  }

  read(): Measure {
    return {
      unit: 'rows',
      done: this.#done,
      total: this.#total,
      bytes: 0,
      bytesTotal: 0,
      table: null,
      tableIndex: 0,
      tableCount: this.#tableCount,
      rate: null,
      etaS: null,
    };
  }
}
