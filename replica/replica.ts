import { existsSync, rmSync, statSync } from 'node:fs';
import type { Seq } from '@tidemark/protocol/cursor';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { Run } from '@tidemark/protocol/run';
import { type CooperativeTask, runToCompletion } from '@tidemark/table-store/cooperative-task';
import { type CursorState, NO_DATA, readCursorState } from '@tidemark/table-store/cursor-state';
import { type AlteredTable, type Counts, FeedTables } from '@tidemark/table-store/feed-tables';
import { ensureFormat, isReadable, requireFeed, saveTables } from '@tidemark/table-store/format';
import {
  cooperativeTransaction,
  guard,
  openReader,
  openWriter,
  prepared,
  transaction,
  type Writer,
} from '@tidemark/table-store/sqlite';
import {
  blockingObjects,
  isRejection,
  removeObjects,
  type ThirdPartyObject,
} from '@tidemark/table-store/third-party-objects';
import { History, lastRuns } from './history.ts';
import { installSnapshot, type SnapshotName } from './install-snapshot.ts';
import { PageApplier } from './page-applier.ts';
import { expectPage, linesOf, type VerifiedPage } from './page-reader.ts';
import { type CompareTarget, Repair } from './repair.ts';
import { WriterLock } from './writer-lock.ts';

/** What applying a page did. */
export interface AppliedPage extends CursorState {
  transactions: number;
  /** Changes applied now; those of a transaction that goes on in the next page count when it is whole. */
  changes: number;
  tables: Counts[];
  /** Names of indexes and triggers of other programs that were dropped, because they kept the page from being applied. */
  dropped: string[];
}

export interface TableCount {
  name: string;
  rows: number;
}

/** What a replica holds and what it has been through. */
export interface ReplicaSummary extends CursorState {
  tables: TableCount[];
  lastRun: Run | null;
  lastSuccess: Run | null;
}

/** Reads a replica of a feed without writing to it, while its writer may be at work. Throws db_*. */
export function readReplicaSummary(file: string, feed: string): ReplicaSummary {
  const db = openReader(file);
  try {
    return guard(file, () => {
      requireFeed(db, feed);
      // A file that another program spoilt is repaired when it is opened for writing; until then it holds nothing.
      const known = ['tidemark_meta', 'tidemark_spool', 'tidemark_table'].every((table) => isReadable(db, table));
      const runs = isReadable(db, 'tidemark_run') ? lastRuns(db) : { lastRun: null, lastSuccess: null };
      if (!known) return { ...NO_DATA, tables: [], ...runs };
      const tables = prepared(
        db,
        "SELECT name, rows FROM tidemark_table WHERE typeof(rows) = 'integer' AND rows >= 0 ORDER BY name",
      ).all() as TableCount[];
      return { ...readCursorState(db), tables, ...runs };
    });
  } finally {
    db.close();
  }
}

/** A terminal's replica: one SQLite file, of which this is the only writer. */
export class Replica {
  readonly file: string;
  readonly feed: string;
  readonly #lock: WriterLock;
  #db: Writer;
  #tables: FeedTables;
  #history: History;
  /** SQLite's data_version, which other programs' writes change, when our own tables were last looked after. */
  #seen: unknown;
  /** The tables as they were, while a page is applied in steps. */
  #counted: TableCount[] | null = null;
  /** What was altered then; null: not looked yet. */
  #structure: AlteredTable[] | null = null;

  private constructor(file: string, feed: string, lock: WriterLock, db: Writer) {
    this.file = file;
    this.feed = feed;
    this.#lock = lock;
    this.#db = db;
    this.#tables = new FeedTables(db);
    this.#history = new History(db);
    this.#seen = db.pragma('data_version', { simple: true });
  }

  /** Opens or creates the replica of a feed. Throws db_* when the file cannot be used; it is then as it was. */
  static open(file: string, feed: string): Replica {
    const db = openWriter(file, { synchronous: 'normal' });
    let lock: WriterLock | undefined;
    try {
      lock = new WriterLock(file);
      ensureFormat(db, feed);
      return new Replica(file, feed, lock, db);
    } catch (error) {
      db.close();
      lock?.release();
      throw error;
    }
  }

  close(): void {
    try {
      // Closing moves the log into the file; on a full disk it stays beside it, and nothing is lost.
      if (this.#db.open) this.#db.close();
    } finally {
      this.#lock.release();
    }
  }

  /** Past runs, lag samples and the status row. */
  get history(): History {
    this.#settle();
    return this.#history;
  }

  cursorState(): CursorState {
    this.#settle();
    return readCursorState(this.#db);
  }

  /** Up to which seq the squashed pages reach that are kept aside; null: ordinary ones are, or none. */
  compactionTarget(): Seq | null {
    this.#settle();
    return prepared(this.#db, 'SELECT squashed FROM tidemark_meta').pluck().get() as Seq | null;
  }

  /** Size of what is kept aside of a transaction that goes on in the next page. */
  spooledBytes(): number {
    this.#settle();
    return prepared(this.#db, 'SELECT coalesce(sum(length(body)), 0) FROM tidemark_spool').pluck().get() as number;
  }

  /** Forgets what is kept aside: its transaction is to come again. */
  dropSpool(): void {
    this.#settle();
    transaction(this.#db, () => {
      this.#db.exec('DELETE FROM tidemark_spool');
      this.#db.exec('UPDATE tidemark_meta SET part = 0, squashed = NULL');
    });
  }

  /** Tables by name, with their exact row counts. */
  tables(): TableCount[] {
    if (this.#counted) return this.#counted;
    this.#settle();
    return this.#tables.list().map(({ schema, rows }) => ({ name: schema.name, rows }));
  }

  /** What {@link readReplicaSummary} gives, for this replica. */
  summary(): ReplicaSummary {
    return { ...this.cursorState(), tables: this.tables(), ...lastRuns(this.#db) };
  }

  /**
   * Names of tables of the feed that another program altered, replaced or dropped: a fresh copy puts them right. Cheap
   * unless another program wrote to the file since it was last asked.
   */
  alteredTables(): string[] {
    return this.#altered().map(({ table }) => table);
  }

  /**
   * Applies the next page and its cursor in one SQLite transaction. A transaction that goes on in the
   * next page is kept aside and applied as one with its last part; `squashed` says of which kind the page is: what
   * was kept aside of the other kind does not go on with it. Indexes and triggers of other programs that
   * keep it from being applied are dropped: the feed's tables are only ours to write. Throws page_*,
   * replica_altered, disk_full, db_*; the replica is then as it was.
   */
  applyPage(page: VerifiedPage, kind: { compacted?: boolean } = {}): AppliedPage {
    return runToCompletion(this.applyPageCooperatively(page, kind));
  }

  /**
   * {@link applyPage} in steps, one for each page that was kept aside. Ended early it leaves the replica as it was. Until
   * it ends, what is asked of the replica is answered as it was, and history that is written comes with it or not at all.
   */
  *applyPageCooperatively(
    page: VerifiedPage,
    { compacted = false }: { compacted?: boolean } = {},
  ): CooperativeTask<AppliedPage> {
    const [altered] = this.#altered();
    if (altered) throw new TidemarkError('replica_altered', { ...altered });
    const before = this.cursorState();
    if (before.cursor === null) throw new TidemarkError('page_out_of_order');
    const { epoch } = before.cursor;
    expectPage(page.header, { feed: this.feed, epoch, start: before.start, scopes: before.scopes });
    const squash = compacted ? page.header.target : null;
    if (before.start.part > 0 && this.compactionTarget() !== squash) throw new TidemarkError('page_out_of_order');
    const removed: ThirdPartyObject[] = [];
    for (;;) {
      let whole = false;
      try {
        const applied = yield* cooperativeTransaction(this.#db, this.#apply(page, squash, before, removed));
        whole = true;
        return applied;
      } catch (error) {
        const fault = isRejection(error)
          ? new TidemarkError('replica_altered', { table: 'tidemark_meta', detail: error.message }, error)
          : error;
        if (!(fault instanceof TidemarkError) || fault.code !== 'replica_altered') throw fault;
        const { table, detail } = fault.params;
        const more = blockingObjects(this.#db, String(table), String(detail), removed);
        if (more.length === 0) throw fault;
        removed.push(...more);
      } finally {
        this.#counted = null;
        if (!whole) this.#tables.reload();
      }
    }
  }

  *#apply(
    page: VerifiedPage,
    squash: Seq | null,
    before: CursorState,
    removed: ThirdPartyObject[],
  ): CooperativeTask<AppliedPage> {
    const { whole, rest } = cut(page.body);
    const applier = new PageApplier(this.#tables, before.start.seq);
    removeObjects(this.#db, removed);
    if (whole.length > 0) {
      yield* this.#applySpool(applier);
      applier.apply(whole);
      if (applier.open) throw new TidemarkError('page_invalid', { detail: 'a transaction does not end' });
    }
    if (rest) prepared(this.#db, 'INSERT INTO tidemark_spool (body) VALUES (?)').run(rest);
    const { next } = page.trailer;
    if (next.seq < applier.lastSeq || next.part > 0 !== (rest !== null)) {
      throw new TidemarkError('page_invalid', { detail: 'its trailer does not fit its lines' });
    }
    const committedAt = applier.transactions > 0 ? applier.committedAt : before.committedAt;
    prepared(this.#db, 'UPDATE tidemark_meta SET seq = ?, part = ?, committed_at = ?, squashed = ?').run(
      next.seq,
      next.part,
      committedAt,
      next.part > 0 ? squash : null,
    );
    prepared(this.#db, 'UPDATE tidemark_status SET epoch = ?, seq = ?, committed_at = ?').run(
      page.header.epoch,
      next.seq,
      committedAt,
    );
    this.#tables.saveCounts();
    saveTables(this.#db);
    const tables = [...applier.counts.values()];
    return {
      cursor: { epoch: page.header.epoch, seq: next.seq },
      start: next,
      committedAt,
      scopes: before.scopes,
      transactions: applier.transactions,
      changes: tables.reduce((sum, t) => sum + t.inserted + t.updated + t.deleted + t.truncated, 0),
      tables,
      dropped: [...removed.map(({ name }) => name), ...this.#tables.takeDropped()],
    };
  }

  /**
   * Puts a downloaded snapshot in place: all tables and the cursor in one step, which readers of the old
   * data do not notice before it is whole. Tables of the feed are replaced, whatever another program made of
   * them. The file is gone afterwards. Returns the names of indexes and triggers of other programs that the new
   * tables do not allow, which are gone. Throws snapshot_corrupt, name_clash, disk_full, db_*; the replica is
   * then as it was.
   */
  installSnapshot(snapshotFile: string, name: SnapshotName): { dropped: string[] } {
    if (name.feed !== this.feed) throw new TidemarkError('snapshot_corrupt');
    this.#settle();
    let dropped: string[] = [];
    try {
      ({ db: this.#db, dropped } = installSnapshot(this.#db, snapshotFile, name));
    } finally {
      this.#tables = new FeedTables(this.#db);
      this.#history = new History(this.#db);
      this.#seen = this.#db.pragma('data_version', { simple: true });
      this.#structure = null;
    }
    rmSync(snapshotFile, { force: true });
    return { dropped };
  }

  /** Begins a comparison with a snapshot. Whoever begins it ends it: by {@link applyRepair} or `discard`. Throws name_clash, db_*. */
  startComparison(target: CompareTarget): Repair {
    this.#settle();
    return guard(this.file, () => new Repair(this.#db, target));
  }

  /**
   * Writes what a comparison found, with the snapshot's position and set of scopes, in one SQLite transaction. `strict`:
   * triggers and unique indexes of other programs on these tables go. Throws replica_altered when the file does not take
   * it, disk_full, db_*; the replica is then as it was.
   */
  applyRepair(repair: Repair, strict: boolean): { tables: Counts[]; dropped: string[] } {
    try {
      return transaction(this.#db, () => repair.write(strict));
    } catch (error) {
      if (!isRejection(error)) throw error;
      throw new TidemarkError(
        'replica_altered',
        { table: repair.differences[0]?.table ?? '', detail: error.message },
        error,
      );
    } finally {
      repair.discard();
      this.#tables.reload();
    }
  }

  /** Size of the replica's file with its log, bytes. */
  sizeBytes(): number {
    return [this.file, `${this.file}-wal`].reduce((sum, file) => sum + (existsSync(file) ? statSync(file).size : 0), 0);
  }

  /** Makes anew what another program removed or spoilt of our own tables since we last looked. */
  #settle(): void {
    // Nobody else writes while we do.
    if (this.#db.inTransaction) return;
    const version = this.#db.pragma('data_version', { simple: true });
    if (version === this.#seen) return;
    ensureFormat(this.#db, this.feed);
    this.#tables.reload();
    this.#structure = null;
    this.#seen = version;
  }

  #altered(): AlteredTable[] {
    this.#settle();
    if (this.#structure === null || this.#structure.length > 0) this.#structure = this.#tables.altered();
    return this.#structure;
  }

  *#applySpool(applier: PageApplier): CooperativeTask<void> {
    const next = prepared(this.#db, 'SELECT n, body FROM tidemark_spool WHERE n > ? ORDER BY n LIMIT 1');
    let spooled = next.get(0) as { n: number; body: Buffer } | undefined;
    if (!spooled) return;
    this.#counted = this.tables();
    while (spooled) {
      yield applier.apply(spooled.body);
      spooled = next.get(spooled.n) as { n: number; body: Buffer } | undefined;
    }
    this.#db.exec('DELETE FROM tidemark_spool');
  }
}

/** Cuts a body after its last whole transaction. `rest` carries the schemas that it needs. */
function cut(body: Buffer): { whole: Buffer; rest: Buffer | null } {
  const last = body.lastIndexOf('\n["c",');
  const end = last === -1 ? 0 : body.indexOf(0x0a, last + 1) + 1;
  if (end === body.length) return { whole: body, rest: null };
  if (end === 0) return { whole: body.subarray(0, 0), rest: body };
  const schemas: Buffer[] = [];
  for (const { text, from, to } of linesOf(body)) {
    if (!text.startsWith('["s",')) break;
    schemas.push(body.subarray(from, to));
  }
  return { whole: body.subarray(0, end), rest: Buffer.concat([...schemas, body.subarray(end)]) };
}
