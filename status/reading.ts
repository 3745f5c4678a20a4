import type { RelayStatus } from '@tidemark/protocol/api';
import type { ErrorCode } from '@tidemark/protocol/errors';
import type { Fault } from '@tidemark/protocol/fault';
import type { Facts, Progress } from './facts.ts';
import type { Format } from './format.ts';
import { bytesToDownload, caughtUp, planOf } from './next-sync.ts';
import { sourceLagMs } from './source-lag.ts';
import type { Action, Severity, Status, StatusCode } from './status.ts';
import { trendOf } from './trend.ts';

/**
 * The facts in the form that the rules in states/ read. Every conclusion that more than one rule needs is drawn here,
 * once for each status.
 */

/** A probe that lies this far in the future, ms, predates a correction of this PC's clock, so its age is unknown. */
const FUTURE_MS = 60_000;

/** Faults of the connection to the relay and of access to it. A later answer of the relay ends them. */
const ENDED_BY_ANSWER: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'relay_unreachable',
  'relay_timeout',
  'relay_not_tidemark',
  'relay_failed',
  'relay_busy',
  'relay_cert',
  'token_invalid',
  'role_denied',
  'feed_denied',
  'scope_denied',
  'feed_unknown',
  'feed_empty',
  'not_found',
  'protocol_unsupported',
  'snapshot_building',
  'squash_building',
  'scopes_changed',
  'filter_invalid',
  'behind_horizon',
  'epoch_changed',
  'cursor_ahead',
  'replica_empty',
]);

/** The input of the rules. Times are ms since 1970. */
export interface Reading {
  facts: Facts;
  /** The time for which the status is derived. */
  now: number;
  format: Format;
  /** Names to show. When the facts contain none, generic words that fit into a sentence. */
  names: Facts['names'];
  /** The fault of the last run, until a later answer of the relay ends it. */
  fault: Fault | null;
  /** Progress of the run under way. Null when there is none. */
  progress: Progress | null;
  /** Whether a run is under way or being cancelled. A check does not count. */
  syncing: boolean;
  /** Number of changes waiting. Null: unknown. 0 only when the relay reported it. */
  waiting: number | null;
  /** Whether changes are waiting, even if their number is unknown. */
  behind: boolean;
  /** Whether the last answer reported no change for this PC between the cursor and the head. */
  atHead: boolean;
  /** Approximate number of bytes that the next sync downloads. Null: none, or unknown. */
  bytes: number | null;
  /** When the relay last answered. Null: never. */
  answeredAt: number | null;
  /**
   * The time, by this PC's clock, up to which the last answer covers the master's commits: the time of the answer minus
   * the relay's lag.
   */
  asOf: number | null;
  /** Age of the last answer, ms. Infinity when unknown. */
  answerAge: number;
  /** Whether the last answer is too old to be fresh. */
  isOld: boolean;
  /**
   * Whether the last answer still describes the present: it is fresh, and nothing has failed or been lost since. Only
   * then may a screen show a fact about the relay without its time.
   */
  answerHolds: boolean;
  /** Whether the last answer shows that no change waits now. Only then may a screen show 0. */
  nothingWaits: boolean;
  /**
   * The time, by this PC's clock, up to which this PC holds the master's commits. After an answer that named no change,
   * it is {@link asOf}; otherwise the commit time of the cursor's transaction. Null: there is no data.
   */
  dataAsOf: number | null;
  /** Number of tables in trouble at head office that are not set aside in the replica. */
  troubledElsewhere: number;
  /**
   * How far the relay was behind the master at the last answer, ms. `lost`: the relay has never heard from the feed.
   * Null: there is no answer.
   */
  sourceLag: number | 'unknown' | 'lost' | null;
  /** How the relay brings this PC to the head. Null: the last answer was not about the present cursor. */
  plan: RelayStatus['plan'] | null;
  trend: Status['trend'];
}

/** The state that a rule returns. */
export type State = Pick<
  Status,
  'code' | 'severity' | 'headline' | 'detail' | 'short' | 'since' | 'primary' | 'secondary'
>;

/** Draws the conclusions from the facts. */
export function read(facts: Facts, now: number, format: Format): Reading {
  const { probe, lastRun, phase, retry } = facts;
  const { cursor } = facts.replica;
  const head = probe?.status.head ?? null;
  const probedAt = probe?.at ?? null;
  const endedAt = lastRun?.endedAt ?? null;
  const failed =
    lastRun?.outcome === 'failed'
      ? (lastRun.fault ?? {
          code: 'internal' as const,
          params: { detail: 'no reason was recorded' },
        })
      : null;
  const ended =
    failed !== null &&
    retry === null &&
    ENDED_BY_ANSWER.has(failed.code) &&
    probedAt !== null &&
    endedAt !== null &&
    probedAt > endedAt;
  const headIsNewer = cursor !== null && head !== null && cursor.epoch === head.epoch && head.seq > cursor.seq;
  const waiting = facts.waiting?.changes ?? null;
  const atHead = caughtUp(facts);
  const answeredAt = probedAt ?? facts.lastSuccess?.endedAt ?? null;
  const lag = probe === null ? null : sourceLag(probe.status);
  const age = answeredAt === null ? Number.POSITIVE_INFINITY : now - answeredAt;
  const asOf = answeredAt === null ? null : answeredAt - (typeof lag === 'number' ? lag : 0);
  const answerAge = Number.isFinite(age) && age >= -FUTURE_MS ? Math.max(0, age) : Number.POSITIVE_INFINITY;
  const isOld = answerAge > facts.thresholds.freshMs;
  const answerHolds =
    probe !== null &&
    !isOld &&
    (failed === null || ended) &&
    retry === null &&
    facts.replica.fault === null &&
    facts.online !== false &&
    facts.agent.state === 'alive' &&
    phase.kind !== 'starting';
  const behind =
    cursor !== null &&
    ((waiting ?? 0) > 0 || (facts.waiting?.transactions ?? 0) > 0 || (facts.waiting === null && headIsNewer));
  return {
    facts,
    now,
    format,
    names: {
      central: facts.names.central.trim() || 'Central database',
      relay: facts.names.relay.trim() || 'the sync server',
      terminal: facts.names.terminal.trim() || 'this PC',
    },
    fault: ended ? null : failed,
    progress: phase.kind === 'syncing' ? phase.progress : null,
    syncing: phase.kind === 'syncing' || phase.kind === 'cancelling',
    waiting: waiting ?? (atHead ? 0 : null),
    behind,
    atHead,
    bytes: bytesToDownload(facts),
    answeredAt,
    asOf,
    answerAge,
    isOld,
    answerHolds,
    nothingWaits: atHead && !behind && answerHolds,
    dataAsOf: dataAsOf(facts, atHead && typeof lag === 'number' && Number.isFinite(answerAge) ? asOf : null),
    troubledElsewhere: Math.max(0, (probe?.status.feed.troubled ?? 0) - facts.replica.setAside.count),
    sourceLag: lag,
    plan: planOf(facts),
    trend: trendOf(facts),
  };
}

/** Returns {@link Reading.dataAsOf}. `confirmed`: the time up to which the last answer shows that nothing is missing. */
function dataAsOf({ replica: { cursor, committedAt } }: Facts, confirmed: number | null): number | null {
  if (cursor === null || committedAt === null) return null;
  return confirmed === null ? committedAt : Math.max(confirmed, committedAt);
}

/** Returns how far the relay was behind the master when it answered. */
function sourceLag(status: RelayStatus): Reading['sourceLag'] {
  return status.feed.heardAt === null ? 'lost' : (sourceLagMs(status) ?? 'unknown');
}

/** Builds the state that a rule returns. `since`: ms since 1970. Null: unknown. Null actions are dropped. */
export function makeState(
  code: StatusCode,
  severity: Severity,
  words: { headline: string; detail: string; short: string },
  actions: { primary?: Action | null; secondary?: (Action | null)[] } = {},
  since: number | null = null,
): State {
  return {
    code,
    severity,
    ...words,
    since,
    primary: actions.primary ?? null,
    secondary: (actions.secondary ?? []).filter((each) => each !== null),
  };
}
