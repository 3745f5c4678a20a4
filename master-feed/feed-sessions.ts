import type { SessionAnswer, SessionRequest } from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import { sendBaseCopy } from './base-copy/base-copy.ts';
import { LineWriter } from './batching/line-writer.ts';
import type { Outbox } from './batching/outbox.ts';
import type { FaultReports } from './fault-reports.ts';
import { reread } from './reread/reread.ts';
import { planReread, type RelayTables, type RereadPlan } from './reread/reread-plan.ts';
import { known, logTroubles, refuseHeld, type Step } from './session-step.ts';
import {
  BaseCopyNeeded,
  type KnownTable,
  type Log,
  type NumberedTable,
  type Obstacle,
  type Source,
  type SourceTable,
  type WantedTables,
} from './source.ts';
import { stream } from './streaming/streaming.ts';
import { SchemaChanged } from './streaming/transaction-sink.ts';

/** Fields of the relay's answer that an older feed would ignore. */
const OBEYED = ['except'];

/**
 * Decides what one session with the relay does: take a base copy, re-read altered tables, or stream.
 *
 * Order of a session:
 * 1. Describe the tables. A missing prerequisite stops the feed before it changes anything.
 * 2. Publish them.
 * 3. Ask whether the log can be resumed at the relay's position.
 * 4. Take a base copy, or re-read altered tables, or stream. After a re-read the session ends, and the next one
 *    streams.
 *
 * Between sessions it remembers why a base copy is needed and which tables are suspect. It must not remember positions,
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

  /** The notes of the last description, as logged. */
  #notes = '';

  constructor(source: Source, log: Log, reports?: FaultReports) {
    this.#source = source;
    this.#log = log;
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
      if (!(cause instanceof BaseCopyNeeded)) throw error;
      this.#obstacle = { why: cause.message, setBack: false };
      this.#log('base-copy-needed', { why: cause.message });
    }
  }

  async #run(session: SessionAnswer, outbox: Outbox, signal: AbortSignal): Promise<void> {
    const source = this.#source;
    // Take the mark before describing the tables, so that the next check detects a change made in between.
    const mark = await source.catalogMark();
    const { publish: listed, except = [], filtered = [] } = session;
    const wanted: WantedTables = { listed, except, filtered, held: namesOf(session) };
    const described = await source.describe(wanted);
    this.#reports?.onTables(described.troubles, wanted.held);
    refuseHeld(described, wanted);
    logTroubles(described, this.#log);
    this.#logNotes(described.notes);
    for (const id of await source.publish(described.tables)) this.#suspects.add(id);
    const found = await source.obstacle(session);
    const obstacle = found?.setBack ? found : (this.#obstacle ?? found);
    if (obstacle !== null && session.position !== null) {
      // End this session: the next one makes the relay forget its position. Otherwise a relay with an incomplete base
      // copy would look like one that was set back.
      this.#obstacle = obstacle;
      return;
    }
    const lines = new LineWriter(outbox);
    const published = new Set(described.tables.map(({ id }) => id));
    const step = { source, session, wanted, published, lines, outbox, signal, log: this.#log };
    let tables: NumberedTable[];
    if (obstacle === null) {
      this.#known = (await source.recall()) ?? this.#known;
      const plan = this.#plan(described.tables, session);
      if (plan.loads.length > 0 || plan.gone.length > 0 || this.#suspects.size > 0) {
        await this.#reread(step, session);
        return;
      }
      tables = plan.kept;
    } else {
      tables = await this.#baseCopy(step, obstacle.why);
    }
    await this.#stream({ ...step, mark, tables });
  }

  /** Logs the notes of a description when they differ from the previous ones. */
  #logNotes(notes: readonly string[]): void {
    const text = notes.join('\n');
    if (text !== this.#notes && text !== '') this.#log('not-replicated', { notes });
    this.#notes = text;
  }

  async #baseCopy(step: Step, why: string): Promise<NumberedTable[]> {
    this.#log('base-copy', { why });
    // During the base copy, the relay may hold any version of any table.
    await this.#remember([]);
    try {
      const { tables, altered } = await sendBaseCopy(step, why);
      this.#obstacle = null;
      this.#suspects.clear();
      await this.#remember(tables.flatMap(({ table }) => (altered.includes(table) ? [] : [known(table)])));
      return tables;
    } catch (error) {
      // The relay discards an incomplete base copy, so the log that the master keeps from its position is useless.
      this.#obstacle ??= { why: 'the last base copy was not finished', setBack: false };
      throw error;
    }
  }

  async #reread(step: Step, session: SessionAnswer): Promise<void> {
    const tables = await reread({
      ...step,
      plan: (found) => this.#plan(found, session),
      // Store the descriptions before the relay can hold the new tables, so that a feed killed in between re-reads
      // these.
      beforeWriting: ({ kept }) => this.#remember(kept.map(({ table }) => known(table))),
    });
    if (tables === null) return;
    this.#suspects.clear();
    await this.#remember(tables.map(known));
  }

  async #stream(step: Step & { mark: string; tables: NumberedTable[] }): Promise<void> {
    try {
      await stream({
        ...step,
        plan: (tables, relay) => this.#plan(tables, relay),
        refresh: (tables) => this.#remember(tables.map(known)),
      });
    } catch (error) {
      const changed = causeOf(error);
      if (!(changed instanceof SchemaChanged)) throw error;
      for (const id of changed.tableIds) this.#suspects.add(id);
      this.#log('altered', { why: changed.message });
    }
  }

  #plan(tables: readonly SourceTable[], relay: RelayTables): RereadPlan {
    return planReread(tables, {
      relay,
      known: this.#known,
      suspects: this.#suspects,
      isUnchanged: (table, before) => this.#source.isUnchanged(table, before),
    });
  }

  async #remember(tables: KnownTable[]): Promise<void> {
    this.#known = tables;
    if (!(await this.#source.remember(tables)))
      this.#log('state-not-stored', {
        why: 'the master does not allow it: each start of the feed re-reads all tables',
      });
  }
}

const namesOf = ({ tables }: SessionAnswer) => new Set(tables.map(({ schema }) => schema.name));

const causeOf = (error: unknown): unknown => (error instanceof TidemarkError ? error.cause : error);
