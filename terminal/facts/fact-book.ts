import type { RelayStatus } from '@tidemark/protocol/api';
import type { Cursor } from '@tidemark/protocol/cursor';
import type { Fault } from '@tidemark/protocol/fault';
import { isUnencrypted } from '@tidemark/protocol/relay-address';
import type { Run } from '@tidemark/protocol/run';
import { type LagSample, succeeded } from '@tidemark/replica/history';
import type { AppliedPage } from '@tidemark/replica/page-transaction';
import type { ReplicaSummary, TableCount } from '@tidemark/replica/replica-summary';
import { DEFAULT_THRESHOLDS, type Facts, SET_ASIDE_NAMED } from '@tidemark/status/facts';
import { sourceLagMs } from '@tidemark/status/source-lag';
import type { AgentSettings } from '../agent/agent-api.ts';
import type { PullPlan, State } from '../machine/state.ts';
import type { RunRecord } from '../run/record/run-record.ts';
import { AnswerClock } from './answer-clock.ts';
import { BacklogHistory } from './backlog-history.ts';
import { phaseOf, replicaFaultOf, retryOf } from './phase.ts';

/**
 * The source lag from which the relay counts as behind, ms. Tests set a shorter one, because a fault of five minutes
 * would make a test too long.
 */
const SOURCE_LAG_WARN_MS = Number(process.env.TIDEMARK_SOURCE_LAG_WARN_MS ?? DEFAULT_THRESHOLDS.sourceLagWarnMs);

const EMPTY = { cursor: null, committedAt: null, tables: 0, rows: 0, setAside: { count: 0, tables: [] } };
const NOTHING_WAITING = { transactions: 0, changes: 0, bytes: 0, oldestAt: null };

/**
 * Collects facts from the agent's work and returns them in the form that `deriveStatus` takes. It does no I/O. All
 * times are ms since 1970.
 */
export class FactBook {
  readonly #answerClock = new AnswerClock();
  #probe: Facts['probe'] = null;
  #waiting: Facts['waiting'] = null;
  readonly #backlog = new BacklogHistory();
  #lastRun: Run | null = null;
  #lastSuccess: Run | null = null;
  #replica: Omit<Facts['replica'], 'fault' | 'log'> = EMPTY;
  #log: Facts['replica']['log'] = null;
  #tables: readonly TableCount[] = [];
  #clockSkewMs: number | null = null;
  /** The damage that was found in the open replica. Null: none. */
  #damage: Fault | null = null;
  #online: boolean | null = null;
  /** The run that waits for its next attempt, recorded as if it had ended now. */
  #failing: Run | null = null;

  openReplica(summary: ReplicaSummary): void {
    this.#damage = null;
    this.#setPosition(summary);
    this.#lastRun = summary.lastRun;
    this.#lastSuccess = summary.lastSuccess;
  }

  closeReplica(): void {
    this.#log = null;
    this.#replica = EMPTY;
    this.#tables = [];
    this.#lastRun = null;
    this.#lastSuccess = null;
    this.forgetRelay();
  }

  /** Drops all facts that the previous relay or feed supplied. */
  forgetRelay(): void {
    this.#answerClock.reset();
    this.#probe = null;
    this.#waiting = null;
    this.#backlog.clear();
    this.#clockSkewMs = null;
    this.#failing = null;
  }

  /**
   * Adds the relay's answer to a terminal at `cursor`, with the times of request and arrival. `held`: the relay may
   * have held the request until there was news.
   */
  addStatus(status: RelayStatus, cursor: Cursor | null, asked: number, heard: number, held = false): void {
    this.#probe = { at: this.#answerClock.date(status.now, asked, heard), for: cursor, status };
    this.#waiting = status.behind;
    // The relay may hold a long poll for a long time, so only the arrival of its answer is close to the relay's time.
    this.#clockSkewMs = (held ? heard : (asked + heard) / 2) - status.now;
    this.#backlog.addStatus(status, cursor, heard);
  }

  /** Adds a saved page. `bytes`: its size before compression. */
  addPage(tables: TableCount[], page: AppliedPage, bytes: number, kind: PullPlan['kind']): void {
    this.#setPosition({ ...page, tables });
    this.#raiseHead();
    if (this.#waiting === null) return;
    if (isAtHead(this.#probe, this.#replica.cursor)) this.#waiting = NOTHING_WAITING;
    // The relay counted the changes before compaction, so the number of changes in a compacted page cannot be
    // subtracted.
    else if (kind === 'compacted') this.#waiting = page.transactions > 0 ? null : this.#waiting;
    else
      this.#waiting = {
        transactions: Math.max(0, this.#waiting.transactions - page.transactions),
        changes: Math.max(0, this.#waiting.changes - page.changes),
        bytes: Math.max(0, this.#waiting.bytes - bytes),
        // A lower bound, because the master committed the waiting changes after the applied ones.
        oldestAt: page.transactions > 0 ? toTime(page.committedAt) : this.#waiting.oldestAt,
      };
  }

  /** Adds an installed snapshot or a written repair. */
  replaceData(summary: ReplicaSummary): void {
    this.#setPosition(summary);
    this.#raiseHead();
    this.#waiting = isAtHead(this.#probe, this.#replica.cursor) ? NOTHING_WAITING : null;
  }

  /**
   * Adds damage of the replica's file. It stays until the replica is opened again: a later run that does not read the
   * damaged pages proves nothing.
   */
  addDamage(fault: Fault): void {
    this.#damage = fault;
  }

  /** Sets the replica's write-ahead log. Null: it is not large. Returns whether the fact changed. */
  setLog(log: Facts['replica']['log']): boolean {
    const isNew = JSON.stringify(log) !== JSON.stringify(this.#log);
    this.#log = log;
    return isNew;
  }

  /** Adds a run that waits for its next attempt. */
  setFailing(run: Run): void {
    this.#failing = run;
  }

  /** Adds a run that has ended. */
  addRun(run: Run): void {
    this.#failing = null;
    this.#lastRun = run;
    this.#backlog.addRun(run);
    if (succeeded(run)) this.#lastSuccess = run;
  }

  /** Sets whether the PC has a network. Null: the operating system does not report it. */
  setOnline(online: boolean | null): void {
    this.#online = online;
  }

  get lastRun(): Run | null {
    return this.#lastRun;
  }

  /** The tables of the replica after its last change. */
  get tables(): readonly TableCount[] {
    return this.#tables;
  }

  get isDamaged(): boolean {
    return this.#damage !== null;
  }

  get probe(): Facts['probe'] {
    return this.#probe;
  }

  get waiting(): Facts['waiting'] {
    return this.#waiting;
  }

  /** Returns a point of the lag chart. Null before the relay has answered. */
  sample(now: number): LagSample | null {
    if (this.#probe === null) return null;
    const { head } = this.#probe.status;
    const { committedAt } = this.#replica;
    const behindMs = head !== null && committedAt !== null ? Math.max(0, head.committedAt - committedAt) : null;
    return {
      at: now,
      waiting: this.#waiting?.changes ?? null,
      lagMs: this.#waiting?.transactions === 0 ? 0 : behindMs,
      sourceLagMs: sourceLagMs(this.#probe.status),
    };
  }

  /** Returns the facts at `now`. `record`: the record of the run under way. */
  facts(state: State, settings: AgentSettings | null, record: RunRecord | null, now: number): Facts {
    return {
      configured: state.configured,
      unencrypted: isUnencrypted(settings?.relayUrl ?? ''),
      names: namesOf(settings, this.#probe?.status.relay.name ?? ''),
      agent: { state: 'alive' },
      phase: phaseOf(state, record, now),
      paused: state.paused && { since: state.paused.since, until: state.paused.until, by: state.paused.by },
      online: this.#online,
      replica: { ...this.#replica, log: this.#log, fault: replicaFaultOf(state) ?? this.#damage },
      probe: this.#probe,
      waiting: this.#waiting,
      lastSuccess: this.#lastSuccess,
      lastRun: this.#failing ?? this.#lastRun,
      ...this.#backlog.facts,
      retry: retryOf(state),
      schedule: { everyMs: state.policy.everyMs, nextAt: state.paused === null ? state.nextAt : null },
      clockSkewMs: this.#clockSkewMs,
      thresholds: { ...DEFAULT_THRESHOLDS, sourceLagWarnMs: SOURCE_LAG_WARN_MS },
    };
  }

  #setPosition({ cursor, committedAt, tables }: Pick<ReplicaSummary, 'cursor' | 'committedAt' | 'tables'>): void {
    this.#tables = tables;
    this.#replica = {
      cursor,
      committedAt: toTime(committedAt),
      tables: tables.length,
      rows: tables.reduce((sum, { rows }) => sum + rows, 0),
      setAside: setAsideOf(tables),
    };
  }

  /**
   * Raises the head of the last answer to the replica's position. The relay has sent data up to this position, so its
   * head has reached it, although the answer is older than the data.
   */
  #raiseHead(): void {
    const { cursor, committedAt } = this.#replica;
    if (this.#probe === null || cursor === null || committedAt === null) return;
    const { head } = this.#probe.status;
    if (head !== null && head.epoch === cursor.epoch && head.seq >= cursor.seq) return;
    this.#probe = { ...this.#probe, status: { ...this.#probe.status, head: { ...cursor, committedAt } } };
  }
}

/** Whether a replica at `cursor` is at the newest head that the relay has reported. */
function isAtHead(probe: Facts['probe'], cursor: Cursor | null): boolean {
  const head = probe?.status.head ?? null;
  return head !== null && cursor !== null && head.epoch === cursor.epoch && cursor.seq >= head.seq;
}

/** Returns the tables that are set aside, those with the oldest rows first. */
function setAsideOf(tables: TableCount[]): Facts['replica']['setAside'] {
  const marked = tables
    .flatMap(({ name, setAside }) =>
      setAside === undefined ? [] : [{ name, reason: setAside.reason, asOf: Date.parse(setAside.asOf) }],
    )
    .sort((a, b) => a.asOf - b.asOf || (a.name < b.name ? -1 : 1));
  return { count: marked.length, tables: marked.slice(0, SET_ASIDE_NAMED) };
}

/** Converts a commit time from the replica's text to ms since 1970. */
const toTime = (text: string | null): number | null => (text === null ? null : Date.parse(text));

/** Returns the display names. Without a name of the relay, its host stands for it. */
const namesOf = (settings: AgentSettings | null, relayName: string): Facts['names'] => ({
  central: settings?.centralName ?? '',
  relay: relayName === '' ? hostOf(settings?.relayUrl ?? '') : relayName,
  terminal: settings?.terminalName ?? '',
});

const hostOf = (url: string): string => (URL.canParse(url) ? new URL(url).host : '');
