import type { SessionAnswer, SessionRequest } from '@tidemark/protocol/api';
import { asTidemarkError, TidemarkError } from '@tidemark/protocol/errors';
import { sendBaseCopy } from './base-copy/base-copy.ts';
import { LineWriter } from './batching/line-writer.ts';
import type { Outbox } from './batching/outbox.ts';
import type { FaultReports } from './fault-reports.ts';
import { reread } from './reread/reread.ts';
import { planReread, type RelayTables, type RereadPlan } from './reread/reread-plan.ts';
import { known, type Step } from './session-step.ts';
import {
  BaseCopyNeeded,
  type DescribedTables,
  type KnownTable,
  type Log,
  type NumberedTable,
  type Obstacle,
  type Source,
  type SourceTable,
  TableFault,
  type WantedTables,
} from './source.ts';
import { stream } from './streaming/streaming.ts';
import { SchemaChanged } from './streaming/transaction-sink.ts';
import { DescriptionLog } from './troubles/description-log.ts';
import { FailedPlace, refusedTable } from './troubles/failed-place.ts';
import { isNew, marksFor } from './troubles/marks.ts';
import { type ChosenTables, TableTroubles } from './troubles/table-troubles.ts';

/** Fields of the relay's answer that an older feed would ignore. */
const OBEYED = ['except'];

/**
 * Decides what one session with the relay does: take a base copy, re-read altered tables, or stream.
 *
 * Order of a session:
 * 1. Describe the tables. A missing prerequisite stops the feed before it changes anything.
 * 2. Publish them.
 * 3. Ask whether the log can be resumed at the relay's position.
 * 4. Take a base copy, or re-read altered tables and mark tables that are set aside, or stream. After a re-read the
 *    session ends, and the next one streams.
 *
 * A table that cannot be followed ends the session, and the next one sets it aside (F17). Between sessions it remembers
 * why a base copy is needed, which tables are suspect, and which tables failed. It must not remember positions,
 * because only the relay's answer to a session is authoritative.
 */
export class FeedSessions {
  readonly #source: Source;
  readonly #log: Log;
  readonly #reports: FaultReports | undefined;
  /** Why the log cannot be resumed, so that a base copy is needed. Null if no reason is known. */
  #obstacle: Obstacle | null = null;
  /** Ids of tables that must be re-read even if they look unchanged. */
  readonly #suspects = new Set<number>();
  /**
   * Descriptions of the tables that the relay holds; null if unknown. The master also stores them, so that they survive
   * a restart.
   */
  #known: KnownTable[] | null = null;

  readonly #descriptions: DescriptionLog;
  readonly #troubles: TableTroubles;
  readonly #place: FailedPlace;

  constructor(source: Source, log: Log, now: () => number, reports?: FaultReports) {
    this.#source = source;
    this.#log = log;
    this.#descriptions = new DescriptionLog(log);
    this.#troubles = new TableTroubles(now);
    this.#place = new FailedPlace(now);
    this.#reports = reports;
  }

  /**
   * Connects to the master. Returns the fields of the session request: the master's identity, and whether a base copy
   * follows.
   */
  async open(): Promise<Pick<SessionRequest, 'source' | 'base' | 'obeys'>> {
    const about = { source: await this.#source.open(), obeys: OBEYED };
    return this.#obstacle === null ? about : { ...about, base: { setBack: this.#obstacle.setBack } };
  }

  async close(): Promise<void> {
    await this.#source.close();
  }

  /**
   * Runs a session. Returns when `signal` is aborted, or when a new session must continue the work. Throws
   * source_not_ready, source_lost, slot_in_use, and the error of a failed batch.
   */
  async run(session: SessionAnswer, outbox: Outbox, signal: AbortSignal): Promise<void> {
    try {
      await this.#run(session, outbox, signal);
    } catch (error) {
      const cause = causeOf(error);
      const fault = tableFaultOf(error) ?? refusedTable(error, session.tables, this.#troubles.ids);
      if (cause instanceof BaseCopyNeeded) this.#needBaseCopy(cause.message);
      else if (fault !== null) this.#setAside(fault);
      else if (this.#place.isPermanent(error, outbox.durable))
        this.#needBaseCopy(`the log cannot be read at ${outbox.durable}: ${asTidemarkError(error).message}`);
      else throw error;
    }
  }

  async #run(session: SessionAnswer, outbox: Outbox, signal: AbortSignal): Promise<void> {
    const source = this.#source;
    // Take the mark before describing the tables, so that the next check detects a change made in between.
    const mark = await source.catalogMark();
    const { publish: listed, except = [], filtered = [] } = session;
    const wanted: WantedTables = { listed, except, filtered, held: namesOf(session) };
    const choose = (described: DescribedTables) => this.#choose(described, session);
    const described = await source.describe(wanted);
    const chosen = choose(described);
    this.#descriptions.onNotes(described);
    for (const id of await source.publish(chosen.tables)) this.#suspects.add(id);
    const published = new Set(chosen.tables.map(({ id }) => id));
    for (const id of this.#suspects) if (!published.has(id)) this.#suspects.delete(id);
    const found = await source.obstacle(session);
    const obstacle = found?.setBack ? found : (this.#obstacle ?? found);
    if (obstacle !== null && session.position !== null) {
      // End this session: the next one makes the relay forget its position. Otherwise a relay with an incomplete base
      // copy would look like one that was set back.
      this.#obstacle = obstacle;
      return;
    }
    const lines = new LineWriter(outbox);
    const step: Step = {
      source,
      session,
      wanted,
      choose,
      published,
      unpublished: chosen.troubles,
      lines,
      outbox,
      signal,
      log: this.#log,
    };
    this.#known = (await source.recall()) ?? this.#known;
    if (obstacle !== null) {
      const { tables, ignored } = await this.#baseCopy(step, chosen.tables, obstacle.why);
      await this.#stream({ ...step, mark, tables, ignored });
      return;
    }
    const plan = this.#plan(chosen, session);
    const isUnmarked = plan.marks.some(isNew);
    if (plan.loads.length > 0 || plan.gone.length > 0 || isUnmarked || this.#suspects.size > 0)
      await this.#reread(step, session);
    else await this.#stream({ ...step, mark, tables: plan.kept, ignored: chosen.ignored });
  }

  #needBaseCopy(why: string): void {
    this.#obstacle = { why, setBack: false };
    this.#log('base-copy-needed', { why });
  }

  #setAside(fault: TableFault): void {
    this.#troubles.add(fault);
    const { table, reason, detail, todo } = fault.trouble;
    this.#log('set-aside', { table, reason, detail, todo });
  }

  #choose(described: DescribedTables, session: SessionAnswer): ChosenTables {
    const chosen = this.#troubles.choose(described);
    this.#report(chosen, session);
    return chosen;
  }

  #report(chosen: ChosenTables, session: SessionAnswer): void {
    const troubles = [...chosen.troubles, ...this.#troubles.retried(chosen)];
    this.#descriptions.onTroubles(troubles);
    this.#reports?.onTables(troubles, namesOf(session));
  }

  async #baseCopy(
    step: Step,
    described: readonly SourceTable[],
    why: string,
  ): Promise<{ tables: NumberedTable[]; ignored: ReadonlySet<number> }> {
    const before = this.#known ?? [];
    // During the base copy, the relay may hold any version of any table.
    await this.#remember([]);
    try {
      const { tables, altered, chosen } = await sendBaseCopy(
        { ...step, described, known: before, onFault: (fault) => this.#setAside(fault) },
        why,
      );
      this.#obstacle = null;
      this.#suspects.clear();
      this.#troubles.settle(chosen.tables);
      this.#report(chosen, step.session);
      await this.#remember([
        ...tables.flatMap(({ table }) => (altered.includes(table) ? [] : [known(table)])),
        ...before.filter(({ id }) => chosen.ignored.has(id)),
      ]);
      return { tables, ignored: chosen.ignored };
    } catch (error) {
      // The relay discards an incomplete base copy, so the log that the master keeps from its position is useless.
      this.#obstacle ??= { why: 'the last base copy was not finished', setBack: false };
      throw error;
    }
  }

  async #reread(step: Step, session: SessionAnswer): Promise<void> {
    const before = this.#known ?? [];
    const tables = await reread({
      ...step,
      plan: (found) => this.#plan(found, session),
      // Store the descriptions before the relay can hold the new tables, so that a feed killed in between re-reads
      // these.
      beforeWriting: ({ kept }) => this.#remember(kept.map(({ table }) => known(table))),
      onFault: (fault, firstFree) => {
        this.#setAside(fault);
        return marksFor(session, [fault.trouble], firstFree, before);
      },
    });
    if (tables === null) return;
    this.#suspects.clear();
    this.#troubles.settle(tables);
    await this.#remember([...tables.map(known), ...before.filter(({ id }) => this.#troubles.ignored.has(id))]);
  }

  async #stream(step: Step & { mark: string; tables: NumberedTable[]; ignored: ReadonlySet<number> }): Promise<void> {
    this.#troubles.startWaits();
    try {
      await stream({
        ...step,
        isDue: () => this.#troubles.isDue,
        plan: (chosen, relay) => this.#plan(chosen, relay),
        refresh: (tables) => this.#remember(tables.map(known)),
      });
    } catch (error) {
      const changed = causeOf(error);
      if (!(changed instanceof SchemaChanged)) throw error;
      for (const id of changed.tableIds) this.#suspects.add(id);
      this.#log('altered', { why: changed.message });
    }
  }

  #plan(chosen: ChosenTables, relay: RelayTables): RereadPlan {
    return planReread(chosen, {
      relay,
      known: this.#known,
      suspects: this.#suspects,
      isUnchanged: (table, before) => this.#source.isUnchanged(table, before),
    });
  }

  async #remember(tables: KnownTable[]): Promise<void> {
    // The name of a table that is set aside must survive a rename at the master, because the relay keeps the old name.
    const aside = (this.#known ?? []).filter(
      ({ id }) => this.#troubles.ignored.has(id) && !tables.some((one) => one.id === id),
    );
    this.#known = [...tables, ...aside];
    if (!(await this.#source.remember(this.#known)))
      this.#log('state-not-stored', {
        why: 'the master does not allow it: each start of the feed re-reads all tables',
      });
  }
}

const namesOf = ({ tables }: SessionAnswer) => new Set(tables.map(({ schema }) => schema.name));

const causeOf = (error: unknown): unknown => (error instanceof TidemarkError ? error.cause : error);

/** Returns the fault of one table that ended a session, or null. */
function tableFaultOf(error: unknown): TableFault | null {
  if (error instanceof TableFault) return error;
  const cause = causeOf(error);
  return cause instanceof TableFault ? cause : null;
}
