import type { RelayStatus } from '@tidemark/protocol/api';
import type { ErrorCode } from '@tidemark/protocol/errors';
import type { Fault } from '@tidemark/protocol/fault';
import type { Facts, Progress } from './facts.ts';
import type { Format } from './format.ts';
import type { Action, ActionId, Severity, Status, StatusCode } from './status.ts';
import { bytesToCome, caughtUp, planOf } from './to-come.ts';
import { trendOf } from './trend.ts';

/** A probe this far in the future was taken before the PC's clock was set back: its age is not known. */
const FUTURE_MS = 60_000;

/** Faults of reaching the relay or being let in: a later answer of the relay ends them. */
const ENDED_BY_AN_ANSWER: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
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

/** What the rules ask of the facts, worked out once. */
export interface Reading {
  facts: Facts;
  now: number;
  format: Format;
  names: Facts['names'];
  /** The fault of the last run, while nothing has ended it. */
  fault: Fault | null;
  /** A run or a check is under way. */
  progress: Progress | null;
  syncing: boolean;
  /** Changes waiting; null: not known. 0 only when the relay said so. */
  waiting: number | null;
  /** Whether something is known to wait, counted or not. */
  behind: boolean;
  /** Nothing of this PC's lies between the cursor and the head of the last answer. */
  atHead: boolean;
  /** About how many bytes a sync would bring over the network; null: nothing, or not known. */
  bytes: number | null;
  /** When the relay last answered; null: never. */
  answeredAt: number | null;
  /** Up to when, by this PC's clock, the last answer knows what the master committed: it may be older than the answer. */
  asOf: number | null;
  /** Age of the last answer; Infinity when not known. */
  answerAge: number;
  /** How far the relay was behind the master at the last answer. `lost`: it never heard from the feed. */
  sourceLag: number | 'unknown' | 'lost' | null;
  /** What the relay says brings this PC to the head; null: not said of the present cursor. */
  plan: RelayStatus['plan'] | null;
  trend: Status['trend'];
}

/** What one rule found. */
export type Found = Omit<Status, 'progress' | 'attention' | 'trend'>;

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
          params: { detail: 'no reason was given' },
        })
      : null;
  const ended =
    failed !== null &&
    retry === null &&
    ENDED_BY_AN_ANSWER.has(failed.code) &&
    probedAt !== null &&
    endedAt !== null &&
    probedAt > endedAt;
  const lacksSeqs = cursor !== null && head !== null && cursor.epoch === head.epoch && head.seq > cursor.seq;
  const waiting = facts.waiting?.changes ?? null;
  const atHead = caughtUp(facts);
  const answeredAt = probedAt ?? facts.lastSuccess?.endedAt ?? null;
  const lag = probe === null ? null : sourceLag(probe.status);
  const age = answeredAt === null ? Number.POSITIVE_INFINITY : now - answeredAt;
  return {
    facts,
    now,
    format,
    names: {
      central: facts.names.central.trim() || 'Central database',
      relay: facts.names.relay.trim() || 'the relay',
      terminal: facts.names.terminal.trim() || 'this PC',
    },
    fault: ended ? null : failed,
    progress: phase.kind === 'syncing' ? phase.progress : null,
    syncing: phase.kind === 'syncing' || phase.kind === 'cancelling',
    waiting: waiting ?? (atHead ? 0 : null),
    behind: (waiting ?? 0) > 0 || (facts.waiting?.transactions ?? 0) > 0 || (facts.waiting === null && lacksSeqs),
    atHead,
    bytes: bytesToCome(facts),
    answeredAt,
    asOf: answeredAt === null ? null : answeredAt - (typeof lag === 'number' ? lag : 0),
    answerAge: Number.isFinite(age) && age >= -FUTURE_MS ? Math.max(0, age) : Number.POSITIVE_INFINITY,
    sourceLag: lag,
    plan: planOf(facts),
    trend: trendOf(facts.trend),
  };
}

function sourceLag(status: RelayStatus): Reading['sourceLag'] {
  const { heardAt } = status.feed;
  if (heardAt === null) return 'lost';
  if (status.feed.lagMs === null) return 'unknown';
  return Math.max(0, status.now - heardAt) + status.feed.lagMs;
}

const LABELS: Record<ActionId, string> = {
  'set-up': 'Set up',
  'first-sync': 'Start first sync',
  'sync-now': 'Sync now',
  check: 'Check now',
  cancel: 'Cancel',
  pause: 'Pause',
  resume: 'Resume',
  retry: 'Try again',
  recopy: 'Download fresh copy',
  verify: 'Verify data',
  'enter-key': 'Enter new key',
  settings: 'Open settings',
  'copy-details': 'Copy details',
  'restart-agent': 'Restart',
};

/** A button: its usual words unless others are given. */
export function action(id: ActionId, label: string = LABELS[id], count?: number): Action {
  return { id, label, ...(count === undefined ? {} : { count }) };
}

/** What a rule found. */
export function found(
  code: StatusCode,
  severity: Severity,
  words: { headline: string; detail: string; short: string },
  actions: { primary?: Action | null; secondary?: (Action | null)[] } = {},
  since: number | null = null,
): Found {
  return {
    code,
    severity,
    ...words,
    since,
    primary: actions.primary ?? null,
    secondary: (actions.secondary ?? []).filter((each) => each !== null),
  };
}

/** Joins what there is with ` · `. */
export const dots = (...parts: (string | null)[]): string =>
  parts.filter((part) => part !== null && part !== '').join(' · ');
