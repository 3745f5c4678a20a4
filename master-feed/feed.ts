import { setTimeout as sleep } from 'node:timers/promises';
import { asTidemarkError, ERRORS, type TidemarkError } from '@tidemark/protocol/errors';
import { PROTOCOL_VERSION } from '@tidemark/protocol/page';
import { Outbox } from './batching/outbox.ts';
import { FeedSessions } from './feed-sessions.ts';
import type { RelayLink } from './relay-link.ts';
import type { Log, Source } from './source.ts';

/**
 * Runs a feed: one session after another, each from the relay's durable position. After an error it waits, longer each
 * time, and begins a new session. Errors that waiting cannot resolve end the feed.
 */

export interface FeedDeps {
  source: Source;
  relay: Pick<RelayLink, 'session' | 'sender'>;
  version: string;
  log: Log;
  random: () => number;
  now: () => number;
}

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 30_000;
/** After a session that lasted this long, the wait starts small again. */
const GOOD_MS = 60_000;

/**
 * Errors that end a feed that has sent nothing yet, because its administrator is there to read them. A feed that has sent
 * something waits until they are resolved.
 */
const AT_START = new Set(['source_not_ready', 'source_denied', 'source_unsupported', 'config_invalid']);

/**
 * Attempts to reach a master that this process has never reached; the last failure ends the feed. They take some seconds,
 * because the master's host may be starting too.
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
  'batch_invalid',
]);

/** Runs a feed until `signal` is aborted. Throws the error that ends it. */
export async function runFeed(deps: FeedDeps, signal: AbortSignal): Promise<void> {
  const sessions = new FeedSessions(deps.source, deps.log);
  let attempt = 0;
  let hasSent = false;
  let hasConnected = false;
  while (!signal.aborted) {
    const from = deps.now();
    try {
      await runSession(deps, sessions, signal, {
        onOpen: () => {
          hasConnected = true;
        },
        onSent: () => {
          hasSent = true;
        },
      });
      attempt = 0;
    } catch (thrown) {
      const error = asTidemarkError(thrown);
      if (signal.aborted) return;
      if (FINAL.has(error.code) || (!hasSent && AT_START.has(error.code))) throw error;
      const isLastAttempt = !hasConnected && attempt + 1 >= FIRST_ATTEMPTS;
      if (error.code === 'source_unreachable' && isLastAttempt) throw error;
      if (deps.now() - from > GOOD_MS) attempt = 0;
      const waitMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** attempt++) * (0.5 + deps.random() / 2);
      logFault(deps.log, error, waitMs);
      await sleep(waitMs, undefined, { signal }).catch(() => undefined);
    }
  }
}

async function runSession(
  { relay, version, log }: FeedDeps,
  sessions: FeedSessions,
  signal: AbortSignal,
  { onOpen, onSent }: { onOpen: () => void; onSent: () => void },
): Promise<void> {
  try {
    const about = await sessions.open();
    onOpen();
    const session = await relay.session({ protocol: PROTOCOL_VERSION, ...about, version });
    log('session', { head: session.head, position: session.position });
    const outbox = new Outbox(relay.sender(session.session), session.position);
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
