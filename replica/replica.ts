import { TidemarkError } from '@tidemark/protocol/errors';
import { type CooperativeTask, runToCompletion } from '@tidemark/table-store/cooperative-task';
import { type CursorState, readCursorState } from '@tidemark/table-store/cursor-state';
import { type Counts, FeedTables } from '@tidemark/table-store/feed-tables';
import { ensureFormat, markDamaged } from '@tidemark/table-store/format';
import { guard, openWriter, transaction, type Writer } from '@tidemark/table-store/sqlite';
import { isRejection } from '@tidemark/table-store/third-party-objects';
import type { CheckedSnapshot } from './checked-snapshot.ts';
import { openingError, refuseKnownDamage } from './files/damaged-file.ts';
import { FileIdentity } from './files/file-identity.ts';
import { linkTarget } from './files/link-target.ts';
import { OutsideChanges } from './files/outside-changes.ts';
import { type LargeLog, WriteAheadLog } from './files/write-ahead-log.ts';
import { WriterLock } from './files/writer-lock.ts';
import { History, lastRuns } from './history.ts';
import { installSnapshot } from './install-snapshot.ts';
import { expectPage, type VerifiedPage } from './pages/page-reader.ts';
import { type AppliedPage, applyPageInTransaction } from './pages/page-transaction.ts';
import { Spool } from './pages/spool.ts';
import { type CompareTarget, Repair } from './repair/repair.ts';
import { type ReplicaSummary, type TableCount, tableCount } from './replica-summary.ts';
import { hasSnapshotFile, removeSnapshotFile, snapshotFileOf } from './snapshot-file.ts';

/**
 * A terminal's replica: one SQLite file, of which this object is the only writer.
 *
 * It coordinates the modules that change the tables with a page, a snapshot or a repair, and holds the lock and the
 * connection that they share. It restores our own tables after another program damaged them, and keeps its memory equal
 * to the file. It must not build SQL for feed tables, parse lines, or keep state that is not in the file.
 *
 * Every method leaves the replica unchanged when it throws. Other programs may read and write the file at any time.
 * SQLite's data_version reveals their writes, and the replica checks the file before its next use. It stops when its name
 * belongs to another file.
 */
export class Replica {
  readonly file: string;
  readonly feed: string;
  readonly #lock: WriterLock;
  readonly #log = new WriteAheadLog();
  #db: Writer;
  #tables: FeedTables;
  #history: History;
  #outside: OutsideChanges;
  /** The row counts that `tables` reports while a task applies a page. Null when none does. */
  #countsBefore: TableCount[] | null = null;

  private constructor(file: string, feed: string, lock: WriterLock, db: Writer) {
    this.file = file;
    this.feed = feed;
    this.#lock = lock;
    this.#db = db;
    this.#tables = new FeedTables(db);
    this.#history = new History(db);
    this.#outside = new OutsideChanges(db, feed, this.#tables);
  }

  /** Opens or creates the replica of a feed. Throws `db_*` and leaves the file unchanged when it cannot be used. */
  static open(name: string, feed: string): Replica {
    const file = linkTarget(name);
    removeLeftSnapshot(file);
    const db = openReplicaFile(file);
    let lock: WriterLock | undefined;
    try {
      lock = new WriterLock(file);
      refuseKnownDamage(db);
      ensureFormat(db, feed);
      return new Replica(file, feed, lock, db);
    } catch (error) {
      db.close();
      lock?.release();
      throw error;
    }
  }

  /**
   * Empties the write-ahead log if it is large. Returns the log if another program's read transaction prevents it. `now`:
   * ms since 1970.
   */
  checkLog(now: number): LargeLog | null {
    this.#outside.identity.requirePresent();
    return this.#log.check(this.#db, now);
  }

  /** Marks the file as damaged, so that no later process uses it. */
  markDamaged(): void {
    guard(this.file, () => markDamaged(this.#db));
  }

  close(): void {
    try {
      // Closing moves the write-ahead log into the file. On a full disk the log remains as a separate file, and no data
      // is lost.
      if (this.#db.open) this.#outside.identity.close(this.#db);
    } finally {
      this.#lock.release();
    }
  }

  /** The history: past runs, lag samples and the status row. */
  get history(): History {
    this.#outside.check();
    return this.#history;
  }

  cursorState(): CursorState {
    this.#outside.check();
    return readCursorState(this.#db);
  }

  /** The first parts of a transaction that continues on the next page. */
  get spool(): Spool {
    this.#outside.check();
    return new Spool(this.#db);
  }

  /** Returns the tables by name, with their exact row counts and marks. */
  tables(): TableCount[] {
    if (this.#countsBefore) return this.#countsBefore;
    this.#outside.check();
    return this.#tables.list().map(({ schema, rows }) => tableCount(schema.name, rows, schema));
  }

  /** Returns the same facts as `readReplicaSummary`. */
  summary(): ReplicaSummary {
    return { ...this.cursorState(), tables: this.tables(), ...lastRuns(this.#db) };
  }

  /**
   * Returns the names of the feed's tables that another program altered, replaced or dropped. A fresh copy restores
   * them. The check is cheap unless another program wrote to the file since the last call.
   */
  alteredTables(): string[] {
    return this.#outside.alteredTables().map(({ table }) => table);
  }

  /**
   * Applies the next page and its cursor in one SQLite transaction. `compacted`: the page is a compacted one, which
   * cannot continue a spool of ordinary pages. Indexes and triggers of other programs that block the page are dropped,
   * because only the feed may change its tables. Throws `page_*`, `replica_altered`, `disk_full`, `db_*`.
   */
  applyPage(page: VerifiedPage, kind: { compacted?: boolean } = {}): AppliedPage {
    return runToCompletion(this.applyPageCooperatively(page, kind));
  }

  /**
   * Applies a page like {@link applyPage}, as a task that yields after each spooled part. Until it ends, the other
   * methods answer as before the page. A run that is recorded meanwhile is committed with the page, or not at all.
   */
  *applyPageCooperatively(
    page: VerifiedPage,
    { compacted = false }: { compacted?: boolean } = {},
  ): CooperativeTask<AppliedPage> {
    const [altered] = this.#outside.alteredTables();
    if (altered) throw new TidemarkError('replica_altered', { ...altered });
    const before = this.cursorState();
    if (before.cursor === null) throw new TidemarkError('page_out_of_order');
    const { epoch } = before.cursor;
    expectPage(page.header, { feed: this.feed, epoch, start: before.start, scopes: before.scopes });
    const compactionTarget = compacted ? page.header.target : null;
    if (before.start.part > 0 && this.spool.compactionTarget() !== compactionTarget)
      throw new TidemarkError('page_out_of_order');
    const onLongWork = () => {
      this.#countsBefore = this.tables();
    };
    try {
      return yield* applyPageInTransaction(this.#db, this.#tables, { page, compactionTarget, before, onLongWork });
    } finally {
      this.#countsBefore = null;
    }
  }

  /**
   * Installs a downloaded snapshot: all tables and the cursor in one step. Until then readers see the old data.
   * Replaces the feed's tables even if another program altered them. Deletes the snapshot's file, even when it throws.
   * Returns the names of third-party indexes and triggers that were dropped because the new tables do not allow them.
   * Throws `snapshot_corrupt` for a snapshot of another feed, `name_clash`, `disk_full`, `db_*`.
   */
  installSnapshot(snapshot: CheckedSnapshot): { dropped: string[] } {
    let dropped: string[] = [];
    let { identity } = this.#outside;
    try {
      if (snapshot.name.feed !== this.feed) throw new TidemarkError('snapshot_corrupt');
      this.#outside.check();
      ({ db: this.#db, dropped } = installSnapshot(this.#db, snapshot));
      identity = new FileIdentity(this.file);
    } finally {
      removeSnapshotFile(snapshot.file);
      // The renaming of the file has failed.
      if (!this.#db.open) this.#db = openReplicaFile(this.file);
      this.#tables = new FeedTables(this.#db);
      this.#history = new History(this.#db);
      this.#outside = new OutsideChanges(this.#db, this.feed, this.#tables, identity);
    }
    return { dropped };
  }

  /**
   * Starts a comparison with a snapshot. The caller must end it with {@link applyRepair} or `discard`. Throws
   * `name_clash`, `db_*`.
   */
  startComparison(target: CompareTarget): Repair {
    this.#outside.check();
    return guard(this.file, () => new Repair(this.#db, target));
  }

  /**
   * Writes the differences of a comparison, with the snapshot's cursor and scopes, in one SQLite transaction. `strict`:
   * drops triggers and unique indexes of other programs on these tables. Throws `replica_altered` when SQLite rejects a
   * row, `disk_full`, `db_*`.
   */
  applyRepair(repair: Repair, strict: boolean): { tables: Counts[]; dropped: string[] } {
    try {
      return transaction(this.#db, () => repair.write(strict));
    } catch (error) {
      if (!isRejection(error)) throw error;
      const table = repair.differences[0]?.table ?? '';
      throw new TidemarkError('replica_altered', { table, detail: error.message }, error);
    } finally {
      repair.discard();
      this.#tables.reload();
    }
  }
}

function openReplicaFile(file: string): Writer {
  try {
    return openWriter(file, { synchronous: 'normal' });
  } catch (error) {
    throw openingError(file, error);
  }
}

/**
 * Removes the snapshot that a killed process left next to a replica. It must run first, because the snapshot may have
 * filled the disk, and SQLite cannot open the replica on a full disk.
 */
function removeLeftSnapshot(file: string): void {
  const snapshot = snapshotFileOf(file);
  if (!hasSnapshotFile(snapshot)) return;
  let lock: WriterLock | null = null;
  try {
    lock = new WriterLock(file);
  } catch (error) {
    // Another process is downloading. Any other error means that the lock was free but could not be written, for
    // example on a full disk.
    if (error instanceof TidemarkError && error.code === 'db_in_use') return;
  }
  try {
    guard(snapshot, () => removeSnapshotFile(snapshot));
  } finally {
    lock?.release();
  }
}
