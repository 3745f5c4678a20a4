import { setTimeout as sleep } from 'node:timers/promises';
import { asTidemarkError, ERRORS, type TidemarkError } from '@tidemark/protocol/errors';
import { PROTOCOL_VERSION } from '@tidemark/protocol/page';
import { type Pace, retryWaitMs } from '@tidemark/protocol/retry-wait';
import { Outbox } from './batching/outbox.ts';
import type { FaultReports } from './fault-reports.ts';
import { FeedSessions } from './feed-sessions.ts';
import { RefusedRequest, type RelayLink } from './relay-link.ts';
import type { Log, Source } from './source.ts';

/**
 * Runs a feed: one session after another, each from the relay's durable position. After an error it waits, longer each
 * time, and begins a new session. It also waits if consecutive sessions end without a new durable position. An error
 * that waiting cannot resolve ends the feed.
 */

export interface FeedDeps {
  source: Source;
  relay: Pick<RelayLink, 'session' | 'sender'>;
  /** Reports to the relay what keeps the feed from making progress. */
  reports?: FaultReports;
  version: string;
  log: Log;
  random: () => number;
  now: () => number;
}

const PACE: Pace = { firstMs: 1_000, longestMs: 30_000 };
/** A session that lasted this long, in ms, resets the wait to its minimum. */
const STABLE_MS = 60_000;

/**
 * Errors that end a feed which has sent nothing yet: the administrator who started it can read them. A feed that has
 * already sent data waits until they are resolved.
 */
const AT_START = new Set(['source_not_ready', 'source_denied', 'source_unsupported', 'config_invalid']);

/**
 * Number of attempts to reach a master that this process has never reached. The last failure ends the feed. The attempts
 * take up to half a minute, because the master's host may still be starting.
 */
const FIRST_ATTEMPTS = 6;

/** Errors that waiting cannot resolve. */
const FINAL = new Set([
  'token_invalid',
  'role_denied',
  'feed_denied',
  'feed_unknown',
  'protocol_unsupported',
  'session_superseded',
]);

/** Runs a feed until `signal` is aborted. Throws the error that ends it. */
export async function runFeed(deps: FeedDeps, signal: AbortSignal): Promise<void> {
  try {
    await runSessions(deps, signal);
  } finally {
    await deps.reports?.close();
  }
}

async function runSessions(deps: FeedDeps, signal: AbortSignal): Promise<void> {
  const sessions = new FeedSessions(deps.source, deps.log, deps.now, deps.reports);
  let attempt = 0;
  /** Number of consecutive sessions that ended without an error and without a new durable position. */
  let idleSessions = 0;
  let hasSent = false;
  let hasConnected = false;
  while (!signal.aborted) {
    const from = deps.now();
    let sent = false;
    try {
      await runSession(deps, sessions, signal, {
        onOpen: () => {
          hasConnected = true;
        },
        onSent: () => {
          sent = true;
          hasSent = true;
        },
      });
      attempt = 0;
      idleSessions = sent ? 0 : idleSessions + 1;
      // One such session is normal, because the next one takes the base copy.
      if (idleSessions > 1) await pause(retryWaitMs(idleSessions - 1, null, deps.random(), PACE), signal);
    } catch (thrown) {
      const error = asTidemarkError(thrown);
      if (signal.aborted) return;
      deps.reports?.onFault(error);
      if (FINAL.has(error.code) || (!hasSent && AT_START.has(error.code))) throw error;
      const isLastAttempt = !hasConnected && attempt + 1 >= FIRST_ATTEMPTS;
      if (error.code === 'source_unreachable' && isLastAttempt) throw error;
      if (deps.now() - from > STABLE_MS) attempt = 0;
      const askedMs = error instanceof RefusedRequest ? error.retryAfterMs : null;
      const waitMs = retryWaitMs(++attempt, askedMs, deps.random(), PACE);
      logFault(deps.log, error, waitMs);
      await pause(waitMs, signal);
    }
  }
}

/** Waits. Returns early when `signal` is aborted. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}

async function runSession(
  { relay, reports, version, log }: FeedDeps,
  sessions: FeedSessions,
  signal: AbortSignal,
  { onOpen, onSent }: { onOpen: () => void; onSent: () => void },
): Promise<void> {
  try {
    const about = await sessions.open();
    onOpen();
    const session = await relay.session({ protocol: PROTOCOL_VERSION, ...about, version });
    log('session', { head: session.head, position: session.position });
    const send = relay.sender(session.session);
    reports?.onSession();
    const outbox = new Outbox(
      async (batch, sampledAtMs = null) => {
        const answer = await send(batch, sampledAtMs);
        if (sampledAtMs !== null || answer.position !== outbox.durable) reports?.onProgress();
        return answer;
      },
      session.position,
      sessions.batchBytes,
    );
    try {
      await sessions.run(session, outbox, signal);
    } finally {
      if (outbox.durable !== session.position) onSent();
    }
  } finally {
    await sessions.close();
  }
}

function logFault(log: Log, error: TidemarkError, waitMs: number): void {
  log('fault', {
    code: error.code,
    message: error.message,
    todo: ERRORS[error.code].todo,
    waitMs: Math.round(waitMs),
    ...(error.code === 'internal' ? { stack: (error.cause as Error)?.stack ?? error.stack } : {}),
  });
}
