import { existsSync, rmSync, statSync } from 'node:fs';
import { type Cursor, type Epoch, PageStart, seq } from '@tidemark/protocol/cursor.ts';
import { TidemarkError } from '@tidemark/protocol/errors.ts';
import type { ScopeSet } from '@tidemark/protocol/page.ts';
import type { Run } from '@tidemark/protocol/status/facts.ts';
import type { Counts } from './feed-tables.ts';
import { FeedTables } from './feed-tables.ts';
import { ensureFormat, requireFeed } from './format.ts';
import { History, lastRuns } from './history.ts';
import { installSnapshot, type SnapshotName } from './install-snapshot.ts';
import { WriterLock } from './lock.ts';
import { PageApplier } from './page-apply.ts';
import { expectPage, linesOf, verifyPage } from './page-reader.ts';
import { type CompareTarget, Repair } from './repair.ts';
import { guard, openReader, openWriter, prepared, type Reader, transaction, type Writer } from './sqlite.ts';

/** Where a replica stands. */
export interface Standing {
  /** Null: nothing yet. */
  cursor: Cursor | null;
  /** Where its next page starts. */
  start: PageStart;
  /** Commit time at the master of the last transaction (ISO 8601). */
  committedAt: string | null;
  /** Set of scopes that it holds; null: nothing yet. */
  scopes: ScopeSet | null;
}

/** What applying a page did. */
export interface Applied extends Standing {
  transactions: number;
  /** Changes applied now; those of a transaction that goes on in the next page count when it is whole. */
  changes: number;
  tables: Counts[];
}

export interface TableCount {
  name: string;
  rows: number;
}

/** What a replica holds and what it has been through. */
export interface Look extends Standing {
  tables: TableCount[];
  lastRun: Run | null;
  lastSuccess: Run | null;
}

/** Reads a replica of a feed without writing to it, while its writer may be at work. Throws db_*. */
export function lookAt(file: string, feed: string): Look {
  const db = openReader(file);
  try {
    return guard(file, () => {
      requireFeed(db, feed);
      const tables = prepared(db, 'SELECT name, rows FROM tidemark_table ORDER BY name').all() as TableCount[];
      return { ...standingOf(db), tables, ...lastRuns(db) };
    });
  } finally {
    db.close();
  }
}

function standingOf(db: Reader | Writer): Standing {
  const meta = prepared(
    db,
    'SELECT epoch, seq, part, committed_at AS committedAt, scopes FROM tidemark_meta',
  ).get() as {
    epoch: Epoch | null;
    seq: number;
    part: number;
    committedAt: string | null;
    scopes: ScopeSet | null;
  };
  return {
    cursor: meta.epoch === null ? null : { epoch: meta.epoch, seq: seq(meta.seq) },
    start: PageStart.parse({ seq: meta.seq, part: meta.part }),
    committedAt: meta.committedAt,
    scopes: meta.epoch === null ? null : meta.scopes,
  };
}

/** A terminal's replica: one SQLite file, of which this is the only writer. */
export class Replica {
  readonly file: string;
  readonly feed: string;
  readonly #lock: WriterLock;
  #db: Writer;
  #tables: FeedTables;
  history: History;

  private constructor(file: string, feed: string, lock: WriterLock, db: Writer) {
    this.file = file;
    this.feed = feed;
    this.#lock = lock;
    this.#db = db;
    this.#tables = new FeedTables(db);
    this.history = new History(db);
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

  standing(): Standing {
    return standingOf(this.#db);
  }

  /** Tables by name, with their exact row counts. */
  tables(): TableCount[] {
    return this.#tables.list().map(({ schema, rows }) => ({ name: schema.name, rows }));
  }

  /** What {@link lookAt} gives, for this replica. */
  look(): Look {
    return { ...this.standing(), tables: this.tables(), ...lastRuns(this.#db) };
  }

  /**
   * Applies the next page and its cursor in one SQLite transaction. A transaction that goes on in the
   * next page is kept aside and applied as one with its last part. Throws page_* or disk_full, db_*;
   * the replica is then as it was.
   */
  applyPage(bytes: Buffer): Applied {
    const page = verifyPage(bytes);
    const before = this.standing();
    if (before.cursor === null) throw new TidemarkError('page_out_of_order');
    expectPage(page.header, { feed: this.feed, epoch: before.cursor.epoch, start: before.start });
    const { whole, rest } = cut(page.body);
    try {
      return transaction(this.#db, () => {
        const applier = new PageApplier(this.#tables, before.start.seq);
        if (whole.length > 0) {
          this.#applySpool(applier);
          applier.apply(whole);
          if (applier.open) throw new TidemarkError('page_invalid', { detail: 'a transaction does not end' });
        }
        if (rest) prepared(this.#db, 'INSERT INTO tidemark_spool (body) VALUES (?)').run(rest);
        const { next } = page.trailer;
        if (next.seq < applier.lastSeq || next.part > 0 !== (rest !== null)) {
          throw new TidemarkError('page_invalid', { detail: 'its trailer does not fit its lines' });
        }
        const committedAt = applier.transactions > 0 ? applier.committedAt : before.committedAt;
        prepared(this.#db, 'UPDATE tidemark_meta SET seq = ?, part = ?, committed_at = ?').run(
          next.seq,
          next.part,
          committedAt,
        );
        prepared(this.#db, 'UPDATE tidemark_status SET epoch = ?, seq = ?, committed_at = ?').run(
          page.header.epoch,
          next.seq,
          committedAt,
        );
        this.#tables.saveCounts();
        const tables = [...applier.counts.values()];
        return {
          cursor: { epoch: page.header.epoch, seq: next.seq },
          start: next,
          committedAt,
          scopes: before.scopes,
          transactions: applier.transactions,
          changes: tables.reduce((sum, t) => sum + t.inserted + t.updated + t.deleted + t.truncated, 0),
          tables,
        };
      });
    } catch (error) {
      this.#tables.reload();
      throw error;
    }
  }

  /**
   * Puts a downloaded snapshot in place: all tables and the cursor in one step, which readers of the old
   * data do not notice before it is whole. The file is gone afterwards. Throws snapshot_corrupt, name_clash,
   * disk_full, db_*; the replica is then as it was.
   */
  installSnapshot(snapshotFile: string, name: SnapshotName): void {
    if (name.feed !== this.feed) throw new TidemarkError('snapshot_corrupt');
    try {
      this.#db = installSnapshot(this.#db, snapshotFile, name);
    } finally {
      this.#tables = new FeedTables(this.#db);
      this.history = new History(this.#db);
    }
    rmSync(snapshotFile, { force: true });
  }

  /** Begins a comparison with a snapshot. Whoever begins it ends it: by {@link applyDifference} or `discard`. Throws name_clash, db_*. */
  compare(target: CompareTarget): Repair {
    return guard(this.file, () => new Repair(this.#db, target));
  }

  /**
   * Writes what a comparison found, with the snapshot's position and set of scopes, in one SQLite transaction. `strict`:
   * triggers and unique indexes of other programs on these tables go. Throws disk_full, db_*; the replica is then as it was.
   */
  applyDifference(repair: Repair, strict: boolean): Counts[] {
    try {
      return transaction(this.#db, () => repair.write(strict));
    } finally {
      repair.discard();
      this.#tables.reload();
    }
  }

  /** Size of the replica's file with its log, bytes. */
  sizeBytes(): number {
    return [this.file, `${this.file}-wal`].reduce((sum, file) => sum + (existsSync(file) ? statSync(file).size : 0), 0);
  }

  #applySpool(applier: PageApplier): void {
    const next = prepared(this.#db, 'SELECT n, body FROM tidemark_spool WHERE n > ? ORDER BY n LIMIT 1');
    let spooled = next.get(0) as { n: number; body: Buffer } | undefined;
    if (!spooled) return;
    while (spooled) {
      applier.apply(spooled.body);
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
