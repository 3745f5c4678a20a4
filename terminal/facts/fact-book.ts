import type { RelayStatus } from '@tidemark/protocol/api';
import type { Cursor } from '@tidemark/protocol/cursor';
import type { Fault } from '@tidemark/protocol/fault';
import type { Run } from '@tidemark/protocol/run';
import { type LagSample, succeeded } from '@tidemark/replica/history';
import type { AppliedPage } from '@tidemark/replica/page-transaction';
import type { ReplicaSummary, TableCount } from '@tidemark/replica/replica-summary';
import { DEFAULT_THRESHOLDS, type Facts, type Progress } from '@tidemark/status/facts';
import type { AgentSettings } from '../agent/agent-api.ts';
import { buildingSince } from '../machine/phases/pulling.ts';
import type { State } from '../machine/state.ts';
import type { RunRecord } from '../run/run-record.ts';

const PROBES_KEPT = 10;

/** All that the agent knows, as `deriveStatus` is given it. */
export class FactBook {
  #probe: Facts['probe'] = null;
  #waiting: Facts['waiting'] = null;
  #trend: Facts['trend'] = [];
  #lastRun: Run | null = null;
  #lastSuccess: Run | null = null;
  #replica: Omit<Facts['replica'], 'fault'> = { cursor: null, committedAt: null, tables: 0, rows: 0 };
  #clockSkewMs: number | null = null;
  #online: boolean | null = null;
  /** The run that waits for another try, as it would end now. */
  #failing: Run | null = null;

  /** A replica was opened. */
  opened({ lastRun, lastSuccess, ...look }: ReplicaSummary): void {
    this.#holds(look);
    this.#lastRun = lastRun;
    this.#lastSuccess = lastSuccess;
  }

  closed(): void {
    this.#replica = { cursor: null, committedAt: null, tables: 0, rows: 0 };
    this.#lastRun = null;
    this.#lastSuccess = null;
    this.forgetRelay();
  }

  /** What was said by another relay, or about another feed. */
  forgetRelay(): void {
    this.#probe = null;
    this.#waiting = null;
    this.#trend = [];
    this.#clockSkewMs = null;
    this.#failing = null;
  }

  /** The relay answered; it was asked and heard at these times, ms. */
  probed(status: RelayStatus, cursor: Cursor | null, asked: number, heard: number): void {
    this.#probe = { at: heard, for: cursor, status };
    this.#waiting = status.behind;
    this.#clockSkewMs = (asked + heard) / 2 - status.now;
    if (status.behind !== null && status.head !== null && cursor !== null) {
      const point = { at: heard, changes: status.behind.changes, head: status.head.seq, cursor: cursor.seq };
      this.#trend = [...this.#trend.slice(1 - PROBES_KEPT), point];
    }
  }

  /** A page of so many bytes is saved; `squashed`: what it brings was counted otherwise, before each row came once. */
  applied(tables: TableCount[], page: AppliedPage, bytes: number, squashed: boolean): void {
    this.#holds({ ...page, tables });
    const head = this.#probe?.status.head ?? null;
    if (this.#waiting === null) return;
    const atHead = head !== null && head.epoch === page.cursor?.epoch && page.cursor.seq >= head.seq;
    if (squashed && !atHead) {
      if (page.transactions > 0) this.#waiting = null;
      return;
    }
    this.#waiting = atHead
      ? { transactions: 0, changes: 0, bytes: 0, oldestAt: null }
      : {
          transactions: Math.max(0, this.#waiting.transactions - page.transactions),
          changes: Math.max(0, this.#waiting.changes - page.changes),
          bytes: Math.max(0, this.#waiting.bytes - bytes),
          // The oldest that is left is not older than the last one here.
          oldestAt: page.transactions > 0 ? toTime(page.committedAt) : this.#waiting.oldestAt,
        };
  }

  /** A snapshot is in place. */
  installed(look: ReplicaSummary): void {
    this.#holds(look);
    const head = this.#probe?.status.head ?? null;
    const { cursor } = this.#replica;
    const atHead = head !== null && cursor !== null && head.epoch === cursor.epoch && cursor.seq >= head.seq;
    this.#waiting = atHead ? { transactions: 0, changes: 0, bytes: 0, oldestAt: null } : null;
  }

  /** A run failed for now, and waits. */
  failing(run: Run): void {
    this.#failing = run;
  }

  ended(run: Run): void {
    this.#failing = null;
    this.#lastRun = run;
    if (succeeded(run)) this.#lastSuccess = run;
  }

  set online(online: boolean | null) {
    this.#online = online;
  }

  /** Last run that ended. */
  get lastRun(): Run | null {
    return this.#lastRun;
  }

  get probe(): Facts['probe'] {
    return this.#probe;
  }

  get waiting(): Facts['waiting'] {
    return this.#waiting;
  }

  /** A point of the lag chart; null before the relay has answered. */
  sample(now: number): LagSample | null {
    if (this.#probe === null) return null;
    const { head, feed, now: relayNow } = this.#probe.status;
    const { committedAt } = this.#replica;
    const behindMs = head !== null && committedAt !== null ? Math.max(0, head.committedAt - committedAt) : null;
    return {
      at: now,
      waiting: this.#waiting?.changes ?? null,
      lagMs: this.#waiting?.transactions === 0 ? 0 : behindMs,
      sourceLagMs:
        feed.lagMs === null || feed.heardAt === null ? null : Math.max(0, relayNow - feed.heardAt) + feed.lagMs,
    };
  }

  /** All facts now. */
  facts(state: State, settings: AgentSettings | null, record: RunRecord | null, now: number): Facts {
    const relay = this.#probe?.status.relay.name ?? '';
    return {
      configured: state.configured,
      names: {
        central: settings?.centralName ?? '',
        relay: relay === '' ? hostOf(settings?.relayUrl ?? '') : relay,
        terminal: settings?.terminalName ?? '',
      },
      agent: { state: 'alive' },
      phase: phaseOf(state, record, now),
      paused: state.paused
        ? {
            since: state.paused.since,
            until: state.paused.until,
            by: state.paused.by,
          }
        : null,
      online: this.#online,
      replica: { ...this.#replica, fault: faultOf(state) },
      probe: this.#probe,
      waiting: this.#waiting,
      lastSuccess: this.#lastSuccess,
      lastRun: this.#failing ?? this.#lastRun,
      trend: this.#trend,
      retry: retryOf(state),
      schedule: {
        everyMs: state.policy.everyMs,
        nextAt: state.paused !== null ? null : state.nextAt,
      },
      clockSkewMs: this.#clockSkewMs,
      thresholds: DEFAULT_THRESHOLDS,
    };
  }

  #holds({ cursor, committedAt, tables }: Pick<ReplicaSummary, 'cursor' | 'committedAt' | 'tables'>): void {
    this.#replica = {
      cursor,
      committedAt: toTime(committedAt),
      tables: tables.length,
      rows: tables.reduce((sum, { rows }) => sum + rows, 0),
    };
  }
}

function phaseOf(state: State, record: RunRecord | null, now: number): Facts['phase'] {
  switch (state.at) {
    case 'closed':
      return { kind: state.fault === null ? 'starting' : 'idle' };
    case 'opening':
      return { kind: 'starting' };
    case 'unconfigured':
    case 'idle':
    case 'watching':
    case 'waiting-to-retry':
    case 'stopped':
      return { kind: 'idle' };
    case 'checking':
      return { kind: 'checking', since: state.run.startedAt };
    case 'cancelling':
      return { kind: 'cancelling', since: state.since };
    case 'waiting-for-snapshot':
    case 'downloading-snapshot':
    case 'installing-snapshot':
    case 'pulling':
    case 'comparing':
    case 'repairing':
      if (record === null) return { kind: 'checking', since: state.run.startedAt };
      return {
        kind: 'syncing',
        first: state.run.from === null,
        progress: record.progress(state.run, awaited(state), now),
      };
  }
}

/** Between pages there is nothing to apply: it is the relay that is waited for. */
function awaited(state: State): Progress['stage'] | null {
  if (state.at !== 'pulling' || state.applying !== null) return null;
  return buildingSince(state.next) === null ? 'downloading' : 'preparing';
}

function faultOf(state: State): Fault | null {
  return state.at === 'closed' ? state.fault : null;
}

function retryOf(state: State): Facts['retry'] {
  if (state.at === 'waiting-to-retry')
    return { attempt: (state.run.failures.streak?.attempts ?? 0) + 1, nextAt: state.retryAt };
  if (state.at === 'closed' && state.retryAt !== null) return { attempt: state.attempt + 1, nextAt: state.retryAt };
  return null;
}

/** A commit time as the replica stores it, as a time in memory. */
const toTime = (text: string | null): number | null => (text === null ? null : Date.parse(text));

const hostOf = (url: string): string => (URL.canParse(url) ? new URL(url).host : '');
