import type { SessionAnswer, SessionRequest } from '@tidemark/protocol/api';
import type { SourcePosition } from '@tidemark/protocol/position';
import { type BaseCopy, sendBaseCopy } from './base-copy/base-copy.ts';
import { LineWriter } from './batching/line-writer.ts';
import type { Outbox } from './batching/outbox.ts';
import type { FaultReports } from './fault-reports.ts';
import { RememberedTables } from './remembered-tables.ts';
import { reread } from './reread/reread.ts';
import { planReread, type RelayTables, type RereadPlan } from './reread/reread-plan.ts';
import { known, type Step } from './session-step.ts';
import type { DescribedTables, Log, NumberedTable, Obstacle, Source, SourceTable, WantedTables } from './source.ts';
import { stream } from './streaming/streaming.ts';
import { SchemaChanged } from './streaming/transaction-sink.ts';
import { isNew, marksFor } from './troubles/marks.ts';
import { namesOf, ReportedTroubles } from './troubles/reported-troubles.ts';
import { causeOf, SessionFaults } from './troubles/session-faults.ts';
import type { ChosenTables } from './troubles/table-troubles.ts';

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
  /** Why the log cannot be resumed, so that a base copy is needed. Null if no reason is known. */
  #obstacle: Obstacle | null = null;
  /** Ids of tables that must be re-read even if they look unchanged. */
  readonly #suspects = new Set<number>();
  readonly #known: RememberedTables;
  /**
   * A base copy or a re-read whose last batch was sent, and the call to make when the relay has it. The answer may be
   * lost, or arrive too late at a proxy. The feed must not send everything again then.
   */
  #sent: { position: SourcePosition; onHeld: () => Promise<void> } | null = null;
  readonly #troubles: ReportedTroubles;
  readonly #faults: SessionFaults;

  constructor(source: Source, log: Log, now: () => number, reports?: FaultReports) {
    this.#source = source;
    this.#log = log;
    this.#troubles = new ReportedTroubles(log, now, reports);
    this.#known = new RememberedTables(source, this.#troubles.tables, log);
    this.#faults = new SessionFaults(this.#troubles.tables, log, now);
  }

  /**
   * Connects to the master. Returns the fields of the session request: the master's identity, and whether a base copy
   * follows.
   */
  async open(): Promise<Pick<SessionRequest, 'source' | 'base' | 'obeys'>> {
    const about = { source: await this.#source.open(), obeys: OBEYED };
    if (this.#obstacle === null || this.#sent !== null) return about;
    return { ...about, base: { setBack: this.#obstacle.setBack } };
  }

  async close(): Promise<void> {
    await this.#source.close();
  }

  /**
   * Runs a session. Returns when `signal` is aborted, or when a new session must continue the work. Throws
   * source_not_ready, source_lost, slot_in_use, and the error of a failed batch.
   */
  async run(session: SessionAnswer, outbox: Outbox, signal: AbortSignal): Promise<void> {
    const lines = new LineWriter(outbox);
    try {
      await this.#run(session, lines, outbox, signal);
    } catch (error) {
      const remedy = this.#faults.remedyFor(error, lines, outbox);
      if (remedy === null) throw error;
      if (remedy === 'smaller-batches') return;
      if ('setAside' in remedy) this.#troubles.setAside(remedy.setAside);
      else {
        this.#obstacle = { why: remedy.baseCopy, setBack: false };
        this.#log('base-copy-needed', { why: remedy.baseCopy });
      }
    }
  }

  /** The size at which the outbox of the next session sends a batch. */
  get batchBytes(): number {
    return this.#faults.batchBytes;
  }

  async #run(session: SessionAnswer, lines: LineWriter, outbox: Outbox, signal: AbortSignal): Promise<void> {
    await this.#faults.probe(session, lines, outbox);
    const source = this.#source;
    // Take the mark before describing the tables, so that the next check detects a change made in between.
    const mark = await source.catalogMark();
    const { publish: listed, except = [], filtered = [] } = session;
    const wanted: WantedTables = { listed, except, filtered, held: namesOf(session) };
    const choose = (described: DescribedTables) => this.#troubles.choose(described, session);
    const described = await source.describe(wanted);
    const chosen = choose(described);
    this.#troubles.onNotes(described);
    const gaps = await source.publish(chosen.tables);
    if (this.#sent?.position === session.position) await this.#sent.onHeld();
    this.#sent = null;
    const published = new Set(chosen.tables.map(({ id }) => id));
    for (const id of gaps) this.#suspects.add(id);
    for (const id of this.#suspects) if (!published.has(id)) this.#suspects.delete(id);
    const found = await source.obstacle(session);
    const obstacle = found?.setBack ? found : (this.#obstacle ?? found);
    if (obstacle !== null && session.position !== null) {
      // End this session: the next one makes the relay forget its position. Otherwise a relay with an incomplete base
      // copy would look like one that was set back.
      this.#obstacle = obstacle;
      return;
    }
    const unpublished = chosen.troubles;
    const work = { source, session, wanted, choose, published, unpublished };
    const step: Step = { ...work, lines, outbox, signal, log: this.#log };
    await this.#known.recall();
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

  async #baseCopy(
    step: Step,
    described: readonly SourceTable[],
    why: string,
  ): Promise<{ tables: NumberedTable[]; ignored: ReadonlySet<number> }> {
    const before = this.#known.all ?? [];
    // During the base copy, the relay may hold any version of any table.
    await this.#known.remember([]);
    const onHeld = async ({ tables, altered, chosen }: BaseCopy) => {
      this.#obstacle = null;
      this.#suspects.clear();
      this.#troubles.tables.settle(chosen.tables);
      await this.#known.remember([
        ...tables.flatMap(({ table }) => (altered.includes(table) ? [] : [known(table)])),
        ...before.filter(({ id }) => chosen.ignored.has(id)),
      ]);
    };
    try {
      const copy = await sendBaseCopy(
        {
          ...{ ...step, described, known: before, onFault: (fault) => this.#troubles.setAside(fault) },
          onSent: (sent) => {
            this.#sent = { position: sent.position, onHeld: () => onHeld(sent) };
          },
        },
        why,
      );
      this.#sent = null;
      await onHeld(copy);
      this.#troubles.report(copy.chosen, step.session);
      return { tables: copy.tables, ignored: copy.chosen.ignored };
    } catch (error) {
      // The relay discards an incomplete base copy, so the log that the master keeps from its position is useless.
      this.#obstacle ??= { why: 'the last base copy was not finished', setBack: false };
      throw error;
    }
  }

  async #reread(step: Step, session: SessionAnswer): Promise<void> {
    const before = this.#known.all ?? [];
    const onHeld = async (tables: SourceTable[]) => {
      this.#suspects.clear();
      this.#troubles.tables.settle(tables);
      await this.#known.remember(tables.map(known), before);
    };
    const tables = await reread({
      ...step,
      plan: (found) => this.#plan(found, session),
      // Store the descriptions before the relay can hold the new tables, so that a feed killed in between re-reads
      // these.
      beforeWriting: ({ kept }) => this.#known.remember(kept.map(({ table }) => known(table))),
      onFault: (fault, firstFree) => {
        this.#troubles.setAside(fault);
        return marksFor(session, [fault.trouble], firstFree, before);
      },
      onSent: (position, sent) => {
        this.#sent = { position, onHeld: () => onHeld(sent) };
      },
    });
    this.#sent = null;
    if (tables !== null) await onHeld(tables);
  }

  async #stream(step: Step & { mark: string; tables: NumberedTable[]; ignored: ReadonlySet<number> }): Promise<void> {
    this.#troubles.tables.startWaits();
    try {
      await stream({
        ...step,
        isDue: () => this.#troubles.tables.isDue,
        plan: (chosen, relay) => this.#plan(chosen, relay),
        refresh: (tables) => this.#known.remember(tables.map(known)),
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
      known: this.#known.all,
      suspects: this.#suspects,
      isUnchanged: (table, before) => this.#source.isUnchanged(table, before),
    });
  }
}
