import type { Seq } from '@tidemark/protocol/cursor';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { CooperativeTask } from '@tidemark/table-store/cooperative-task';
import type { CursorState } from '@tidemark/table-store/cursor-state';
import type { Counts, FeedTables } from '@tidemark/table-store/feed-tables';
import { cooperativeTransaction, prepared, type Writer } from '@tidemark/table-store/sqlite';
import { saveTableList } from '@tidemark/table-store/table-list';
import {
  blockingObjects,
  isRejection,
  removeObjects,
  type ThirdPartyObject,
} from '@tidemark/table-store/third-party-objects';
import { saveDataColumns } from '../status-row.ts';
import { PageApplier } from './page-applier.ts';
import { linesOf, type VerifiedPage } from './page-reader.ts';
import { Spool } from './spool.ts';

/**
 * Applies one page: its changes and its cursor, in one SQLite transaction.
 *
 * The spool stores the lines of a transaction that continues on the next page. The page with the last part applies the
 * spool first. Order: drop objects that block the page, apply the spool, apply the page, spool the rest, check the
 * trailer, write the cursor and the columns of `tidemark_status` that describe the data. The cursor never moves without
 * the rows.
 */

/** Result of applying a page. */
export interface AppliedPage extends CursorState {
  transactions: number;
  /**
   * Number of changes applied now. Changes of a transaction that continues on the next page count when it is complete.
   */
  changes: number;
  tables: Counts[];
  /** Names of third-party indexes and triggers that were dropped because they blocked the page. */
  dropped: string[];
}

export interface PageWork {
  page: VerifiedPage;
  /** The target of a compacted page. Null: the page is an ordinary one. */
  compactionTarget: Seq | null;
  /** The cursor before the page. */
  before: CursorState;
  /** Called before the task applies spooled changes, which is when it first yields. */
  onLongWork(): void;
}

/**
 * Applies a page in one transaction. When indexes or triggers of other programs block the page, rolls back, drops the
 * most likely one, and tries again, until the page is applied or no such object is left. Reloads `feedTables` after
 * each rollback. Throws `page_*`, `replica_altered`, `disk_full`, `db_*`.
 */
export function* applyPageInTransaction(
  db: Writer,
  feedTables: FeedTables,
  work: PageWork,
): CooperativeTask<AppliedPage> {
  const removed: ThirdPartyObject[] = [];
  for (;;) {
    let committed = false;
    try {
      const applied = yield* cooperativeTransaction(db, applyLines(db, feedTables, work, removed));
      committed = true;
      return applied;
    } catch (error) {
      const fault = isRejection(error)
        ? new TidemarkError('replica_altered', { table: 'tidemark_meta', detail: error.message }, error)
        : error;
      if (!(fault instanceof TidemarkError) || fault.code !== 'replica_altered') throw fault;
      const { table, detail } = fault.params;
      const blocking = blockingObjects(db, String(table), String(detail), removed);
      if (blocking.length === 0) throw fault;
      removed.push(...blocking);
    } finally {
      if (!committed) feedTables.reload();
    }
  }
}

/** Applies the complete transactions of a page, spools the rest, and writes the cursor. */
function* applyLines(
  db: Writer,
  feedTables: FeedTables,
  { page, before, compactionTarget, onLongWork }: PageWork,
  remove: ThirdPartyObject[],
): CooperativeTask<AppliedPage> {
  const { complete, rest } = splitBody(page.body);
  const spool = new Spool(db);
  const applier = new PageApplier(feedTables, before.start.seq);
  removeObjects(db, remove);
  if (complete.length > 0) {
    yield* applySpool(spool, applier, onLongWork);
    applier.apply(complete);
    if (applier.open) throw new TidemarkError('page_invalid', { detail: 'a transaction does not end' });
  }
  if (rest) spool.add(rest);
  const { next } = page.trailer;
  if (next.seq < applier.lastSeq || next.part > 0 !== (rest !== null))
    throw new TidemarkError('page_invalid', { detail: 'its trailer does not fit its lines' });
  const committedAt = applier.transactions > 0 ? applier.committedAt : before.committedAt;
  const { epoch } = page.header;
  prepared(db, 'UPDATE tidemark_meta SET seq = ?, part = ?, committed_at = ?, squashed = ?').run(
    next.seq,
    next.part,
    committedAt,
    next.part > 0 ? compactionTarget : null,
  );
  feedTables.saveCounts();
  saveTableList(db);
  saveDataColumns(db, feedTables.list().filter(({ schema }) => schema.setAside !== undefined).length);
  const tables = [...applier.counts.values()];
  return {
    cursor: { epoch, seq: next.seq },
    start: next,
    committedAt,
    scopes: before.scopes,
    transactions: applier.transactions,
    changes: tables.reduce((sum, t) => sum + t.inserted + t.updated + t.deleted + t.truncated, 0),
    tables,
    dropped: [...remove.map(({ name }) => name), ...feedTables.takeDropped()],
  };
}

function* applySpool(spool: Spool, applier: PageApplier, onLongWork: () => void): CooperativeTask<void> {
  let started = false;
  for (const body of spool.parts()) {
    if (!started) onLongWork();
    started = true;
    yield applier.apply(body);
  }
  if (started) spool.clear();
}

/**
 * Splits a body after its last complete transaction. `rest` begins with the schemas that it needs. Null when there is
 * no rest.
 */
function splitBody(body: Buffer): { complete: Buffer; rest: Buffer | null } {
  const lastCommit = body.lastIndexOf('\n["c",');
  const end = lastCommit === -1 ? 0 : body.indexOf(0x0a, lastCommit + 1) + 1;
  if (end === body.length) return { complete: body, rest: null };
  if (end === 0) return { complete: body.subarray(0, 0), rest: body };
  const schemas: Buffer[] = [];
  for (const { text, from, to } of linesOf(body)) {
    if (!text.startsWith('["s",')) break;
    schemas.push(body.subarray(from, to));
  }
  return { complete: body.subarray(0, end), rest: Buffer.concat([...schemas, body.subarray(end)]) };
}
