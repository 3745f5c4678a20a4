import { asTidemarkError, TidemarkError } from '@tidemark/protocol/errors';
import { runCooperatively } from '@tidemark/table-store/cooperative-task';
import type { EventOf } from '../machine/event.ts';
import { buildingSince } from '../machine/phases/pulling.ts';
import type { ArrivedPage, PullPlan } from '../machine/state.ts';
import {
  type EffectOf,
  logDropped,
  publishBeforeBlocking,
  type ReadySite,
  type Site,
  startOf,
  throwIfAborted,
  transferTo,
  type WorkDeps,
} from './site.ts';

/** Fetches pages and applies them to the replica. */

/**
 * For a pull of at most this many transactions to a chosen target, the relay's list of transactions supplies the
 * totals.
 */
const MAX_LISTED = 500;
/** Size of a transaction that takes noticeably long to apply, in bytes of its pages. */
const LONG_APPLY_BYTES = 8 * 1024 * 1024;

export async function fetchPage(
  { plan, start, fresh }: EffectOf<'fetch'>,
  { state, relay, record, signal }: ReadySite,
): Promise<EventOf<'fetched'>> {
  // The relay answers that it is still building compacted pages, so it is alive although no data arrives.
  if (state.at === 'pulling' && buildingSince(state.next) !== null) record?.addReceived(0, Date.now());
  const content = await relay.page(plan, start, fresh, signal, transferTo(record));
  const { next } = content.trailer;
  const leadsOn = next.seq > start.seq || (next.seq === start.seq && next.part > start.part);
  if (!leadsOn) throw new TidemarkError('relay_no_progress');
  return { type: 'fetched', page: { start, next, content } };
}

export async function applyPage(
  { page, kind }: EffectOf<'apply'>,
  { state, replica, record, signal }: ReadySite,
  deps: WorkDeps,
): Promise<EventOf<'applied'>> {
  const { book, publisher } = deps;
  if (state.at === 'pulling' && state.next.is === 'requested') {
    // Let the request for the next page leave first, so that the page is in flight while this one is written.
    await new Promise((resolve) => setImmediate(resolve));
    throwIfAborted(signal);
  }
  const long = completesKeptParts(page) && replica.spool.sizeBytes() > LONG_APPLY_BYTES;
  if (long) {
    record?.addWritten(0, Date.now());
    record?.startFinishing();
    await publishBeforeBlocking(deps, signal);
  }
  const compacted = kind === 'compacted';
  const applied = await runCooperatively(replica.applyPageCooperatively(page.content, { compacted }), (changes) => {
    throwIfAborted(signal);
    if (!long) return;
    record?.addWritten(changes, Date.now());
    publisher.publishSoon();
  });
  if (applied.cursor === null) throw new TidemarkError('page_out_of_order');
  logDropped(deps, applied.dropped);
  const { sizeBytes, trailer } = page.content;
  record?.addPage(applied, { bytes: sizeBytes, changes: trailer.changes }, Date.now());
  book.addPage(replica.tables(), applied, sizeBytes, kind);
  return { type: 'applied', cursor: applied.cursor, start: startOf(replica) };
}

/** Drops the kept parts of a compacted transaction. */
export function dropKeptParts({ replica }: ReadySite): EventOf<'applied'> {
  replica.spool.discard();
  const { cursor } = replica.cursorState();
  if (cursor === null) throw new TidemarkError('page_out_of_order');
  return { type: 'applied', cursor, start: startOf(replica) };
}

/**
 * Starts the progress of a pull. Its totals are the relay's count up to the head or, for a chosen target, the sum over
 * the relay's list of transactions.
 */
export function startPageProgress(plan: PullPlan, site: Site, { book, log }: WorkDeps): void {
  const { relay, replica, record, signal } = site;
  const { cursor } = site.state;
  const { probe, waiting } = book;
  const counted = probe?.status.head?.seq === plan.target && probe.for?.seq === cursor?.seq ? waiting : null;
  // The replica is about to drop parts that it kept from the other kind of pages.
  const continues = replica !== null && (replica.spool.compactionTarget() !== null) === (plan.kind === 'compacted');
  const earlierBytes = continues ? replica.spool.sizeBytes() : 0;
  record?.startPages({ changes: counted?.changes ?? 0, bytes: counted?.bytes ?? 0 }, earlierBytes, Date.now());
  if (plan.kind === 'compacted' || counted !== null || !relay || cursor === null) return;
  if (plan.target - cursor.seq > MAX_LISTED) return;
  relay.transactions(cursor, cursor.seq, plan.target - cursor.seq, signal).then(
    ({ transactions }) => {
      const sum = (of: 'changes' | 'bytes') => transactions.reduce((total, each) => total + each[of], 0);
      record?.setPageTotals({ changes: sum('changes'), bytes: sum('bytes') });
    },
    (error: unknown) => log('debug', 'totals.not_known', { code: asTidemarkError(error).code }),
  );
}

/** Whether a page completes the transaction whose first parts the replica keeps. */
const completesKeptParts = ({ start, next }: ArrivedPage): boolean => start.part > 0 && next.seq > start.seq;
