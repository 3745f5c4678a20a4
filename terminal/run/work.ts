import type { RelayStatus } from '@tidemark/protocol/api';
import { type Cursor, seq } from '@tidemark/protocol/cursor';
import { asTidemarkError, TidemarkError } from '@tidemark/protocol/errors';
import type { Repair } from '@tidemark/replica/repair';
import type { Replica } from '@tidemark/replica/replica';
import { runCooperatively } from '@tidemark/table-store/cooperative-task';
import type { Log } from '../agent/agent-api.ts';
import type { FactBook } from '../facts/fact-book.ts';
import type { FactTeller } from '../facts/fact-teller.ts';
import type { Effect } from '../machine/effect.ts';
import type { Event, Work } from '../machine/event.ts';
import { buildingSince } from '../machine/phases/pulling.ts';
import type { ArrivedPage, PullPlan, Start, State } from '../machine/state.ts';
import type { Downloads } from '../relay/download.ts';
import type { RelayClient, Transfer } from '../relay/relay-client.ts';
import { failureOf } from '../relay/relay-errors.ts';
import { compare } from './compare.ts';
import type { RunRecord } from './run-record.ts';

/** A long poll lasts this long, s. */
const POLL_S = 30;
/** Transactions that are listed to count what a chosen target brings. */
const LISTED = 500;
/** A transaction of this size, bytes as pages, takes a moment to be applied as one. */
const LONG_APPLY_BYTES = 8 * 1024 * 1024;

/** Work that goes over the network or is put off; its effect's name is its name. */
export type WorkEffect = Extract<Effect, { do: Exclude<Work, 'open'> }>;
type WorkOf<W extends WorkEffect['do']> = Extract<WorkEffect, { do: W }>;

/** What is there when a piece of work begins. */
export interface Site {
  state: State;
  relay: RelayClient | null;
  replica: Replica | null;
  /** Of the run that it is for. */
  record: RunRecord | null;
  signal: AbortSignal;
}
/** A site where work can be done. */
type Ready = Site & { relay: RelayClient; replica: Replica };

export interface WorkDeps {
  book: FactBook;
  downloads: Downloads;
  teller: FactTeller;
  log: Log;
  /** Told after each answer of the relay to where it stands; ms. */
  asked(now: number): void;
}

/** Does what the machine wants done over the network and on the replica. What comes of it is an event. */
export class AgentWork {
  readonly #deps: WorkDeps;
  /** What a comparison found, until it is written. */
  #found: Repair | null = null;
  /** Whether the download under way has brought anything. */
  #gained = false;

  constructor(deps: WorkDeps) {
    this.#deps = deps;
  }

  /** A failure is an event too. When the site's signal was aborted the event says nothing. */
  async do(effect: WorkEffect, site: Site): Promise<Event> {
    try {
      const { relay, replica } = site;
      if (!relay || !replica) throw new TidemarkError('not_configured');
      return await this.#do(effect, { ...site, relay, replica });
    } catch (error) {
      const fault = asTidemarkError(error);
      if (fault.code === 'internal' && !site.signal.aborted)
        this.#deps.log('error', 'work.fault', { work: effect.do, detail: fault.message });
      return { type: 'failed', work: effect.do, ...failureOf(fault, effect.do === 'download' && this.#gained) };
    }
  }

  /** Forgets what a comparison found. */
  forgetFound(): void {
    this.#found?.discard();
    this.#found = null;
  }

  /** Totals of a pull: what the relay counted for the head; for a chosen target, what its list says. */
  countPages(plan: PullPlan, { state: { cursor }, relay, replica, record, signal }: Site): void {
    const { probe, waiting } = this.#deps.book;
    const counted = probe?.status.head?.seq === plan.target && probe.for?.seq === cursor?.seq ? waiting : null;
    // What is about to be forgotten is not here.
    const kept = replica && (replica.spool.compactionTarget() !== null) === (plan.kind === 'compacted');
    const here = kept ? replica.spool.sizeBytes() : 0;
    record?.pages({ changes: counted?.changes ?? 0, bytes: counted?.bytes ?? 0 }, here, Date.now());
    if (plan.kind === 'compacted' || counted !== null || !relay || cursor === null || plan.target - cursor.seq > LISTED)
      return;
    relay.transactions(cursor, cursor.seq, plan.target - cursor.seq, signal).then(
      ({ transactions }) => {
        const sum = (of: 'changes' | 'bytes') => transactions.reduce((total, each) => total + each[of], 0);
        record?.totals({ changes: sum('changes'), bytes: sum('bytes') });
      },
      (error: unknown) => this.#deps.log('debug', 'totals.not_known', { code: asTidemarkError(error).code }),
    );
  }

  async #do(effect: WorkEffect, site: Ready): Promise<Event> {
    switch (effect.do) {
      case 'probe':
        return { type: 'probed', status: await this.#ask(0, site), altered: site.replica.alteredTables().length > 0 };
      case 'poll': {
        // Where it stands is told at once; only then is there something to wait for.
        const waitS = site.state.cursor === null || this.#deps.book.probe === null ? 0 : POLL_S;
        return { type: 'polled', status: await this.#ask(waitS, site) };
      }
      case 'fetch':
        return this.#fetch(effect, site);
      case 'apply':
        return this.#apply(effect, site);
      case 'discard':
        return discard(site);
      case 'manifest':
        site.record?.preparing(Date.now());
        return { type: 'manifest', manifest: await site.relay.manifest(this.#oldestCopy(site.state), site.signal) };
      case 'download':
        return this.#download(effect, site);
      case 'install':
        return this.#install(effect, site);
      case 'compare':
        return this.#compare(effect, site);
      case 'repair':
        return this.#repair(effect, site);
    }
  }

  async #ask(waitS: number, { state: { cursor }, relay, replica, signal }: Ready): Promise<RelayStatus> {
    const asked = Date.now();
    const { scopes } = replica.cursorState();
    const status = await relay.status({ cursor, scopes }, waitS, signal);
    const heard = Date.now();
    // A long poll's answer says nothing of when it was asked.
    this.#deps.book.probed(status, cursor, waitS === 0 ? asked : heard, heard);
    this.#deps.asked(heard);
    return status;
  }

  async #fetch({ plan, start, fresh }: WorkOf<'fetch'>, { state, relay, record, signal }: Ready): Promise<Event> {
    // The relay that prepares pages is there, though nothing comes.
    if (state.at === 'pulling' && buildingSince(state.next) !== null) record?.received(0, Date.now());
    const content = await relay.page(plan, start, fresh, signal, transferTo(record));
    return { type: 'fetched', page: { start, next: content.trailer.next, content } };
  }

  async #apply({ page, kind }: WorkOf<'apply'>, site: Ready): Promise<Event> {
    const { state, replica, record, signal } = site;
    if (state.at === 'pulling' && state.next.is === 'requested') {
      // The request for the next page leaves first: it comes while this one is written.
      await new Promise((resolve) => setImmediate(resolve));
      if (signal.aborted) throw new TidemarkError('cancelled');
    }
    const long = endsSpool(page) && replica.spool.sizeBytes() > LONG_APPLY_BYTES;
    if (long) {
      record?.saving(0, Date.now());
      await this.#finishing(site);
    }
    const applied = await runCooperatively(
      replica.applyPageCooperatively(page.content, { compacted: kind === 'compacted' }),
      (changes) => {
        if (signal.aborted) throw new TidemarkError('cancelled');
        if (!long) return;
        record?.saving(changes, Date.now());
        this.#deps.teller.tell();
      },
    );
    if (applied.cursor === null) throw new TidemarkError('page_out_of_order');
    this.#dropped(applied.dropped);
    const { sizeBytes: bytes, trailer } = page.content;
    record?.applied(applied, { bytes, changes: trailer.changes }, Date.now());
    this.#deps.book.applied(replica.tables(), applied, bytes, kind === 'compacted');
    return { type: 'applied', cursor: applied.cursor, start: startOf(replica) };
  }

  async #download({ manifest }: WorkOf<'download'>, { relay, record, signal }: Ready): Promise<Event> {
    const { downloads, teller } = this.#deps;
    const { here, total } = downloads.standing(manifest);
    this.#gained = false;
    const at = (bytes: number) => {
      this.#gained ||= bytes > here;
      record?.downloading(manifest, bytes, total, Date.now());
      teller.tell();
    };
    at(here);
    await downloads.fetch(relay, manifest, signal, { ...transferTo(record), at });
    return { type: 'downloaded' };
  }

  async #install({ manifest }: WorkOf<'install'>, site: Ready): Promise<Event> {
    const { replica, record } = site;
    const { book, downloads } = this.#deps;
    await this.#finishing(site);
    const { feed, cursor } = manifest;
    this.#dropped(replica.installSnapshot(downloads.file, { feed, cursor }).dropped);
    record?.installed(manifest);
    book.installed(replica.summary());
    return { type: 'installed', cursor, start: startOf(replica) };
  }

  async #compare({ manifest, mayCopy }: WorkOf<'compare'>, site: Ready): Promise<Event> {
    const { relay, replica, record, signal } = site;
    const { downloads, teller } = this.#deps;
    this.forgetFound();
    record?.comparing(manifest, Date.now());
    teller.tell();
    const found = replica.startComparison(manifest);
    try {
      const copyBytes = downloads.standing(manifest).total;
      const compared = (table: string, rows: number) => {
        record?.compared(table, rows, Date.now());
        teller.tell();
      };
      const outcome = await compare(found, {
        ...{ relay, snapshot: manifest, copyBytes, mayCopy, signal, compared },
        transfer: transferTo(record),
      });
      const { differences, needed } = found;
      if (outcome === 'compared') record?.found(differences);
      if (outcome === 'copy' || !needed || signal.aborted) found.discard();
      else this.#found = found;
      const verdict = outcome === 'copy' ? 'copy' : needed ? 'repair' : 'equal';
      return { type: 'compared', differences, verdict };
    } catch (error) {
      found.discard();
      throw error;
    }
  }

  async #repair({ manifest, strict }: WorkOf<'repair'>, { replica, record, signal }: Ready): Promise<Event> {
    const found = this.#found;
    if (!found) throw new TidemarkError('snapshot_gone');
    record?.repairing(found.differences);
    await this.#tellNow(signal);
    this.#found = null;
    const { tables, dropped } = replica.applyRepair(found, strict);
    this.#dropped(dropped);
    record?.repaired(tables);
    this.#deps.book.installed(replica.summary());
    return { type: 'repaired', cursor: manifest.cursor, start: replica.cursorState().start };
  }

  /** What follows is written at once, and takes a moment. */
  async #finishing({ record, signal }: Ready): Promise<void> {
    record?.finishing();
    await this.#tellNow(signal);
  }

  /** Throws `cancelled`, when that came meanwhile. */
  async #tellNow(signal: AbortSignal): Promise<void> {
    await this.#deps.teller.tellNow();
    if (signal.aborted) throw new TidemarkError('cancelled');
  }

  /** What other programs made on tables of the feed and had to go. */
  #dropped(names: string[]): void {
    if (names.length > 0) this.#deps.log('warn', 'objects.dropped', { names });
  }

  /** A copy must not be older than what is here; one that is to save changes must be newer. */
  #oldestCopy(state: State): Cursor | null {
    const { cursor } = state;
    const head = this.#deps.book.probe?.status.head;
    if (cursor === null || head?.epoch !== cursor.epoch) return null;
    const cheaper = 'run' in state && state.run.preparation?.reason === 'cheaper';
    return { epoch: cursor.epoch, seq: seq(Math.min(head.seq, cheaper ? cursor.seq + 1 : cursor.seq)) };
  }
}

function discard({ replica }: Ready): Event {
  replica.spool.discard();
  const { cursor } = replica.cursorState();
  if (cursor === null) throw new TidemarkError('page_out_of_order');
  return { type: 'applied', cursor, start: startOf(replica) };
}

/** Where the next page of a replica starts, and of what. */
export function startOf(replica: Replica): Start {
  const { start } = replica.cursorState();
  const compactedTo = replica.spool.compactionTarget();
  return compactedTo === null ? start : { ...start, compactedTo };
}

/** Whether a transaction that was kept aside is whole with this page. */
const endsSpool = ({ start, next }: ArrivedPage): boolean => start.part > 0 && next.seq > start.seq;

function transferTo(record: RunRecord | null): Transfer {
  return {
    received: (bytes) => record?.received(bytes, Date.now()),
    deadline: (at) => record?.deadline(at),
    squash: (totals) => record?.totals(totals),
  };
}
