import { setTimeout as sleep } from 'node:timers/promises';
import { asTidemarkError, ERRORS, type TidemarkError } from '@tidemark/protocol/errors';
import { PROTOCOL_VERSION } from '@tidemark/protocol/page';
import { Outbox } from './outbox.ts';
import type { RelayLink } from './relay-link.ts';
import type { Log, Source } from './source.ts';

export interface FeedDeps {
  source: Source;
  relay: RelayLink;
  version: string;
  log: Log;
  random: () => number;
  now: () => number;
}

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 30_000;
/** A run that lasted this long was a good one: the next fault waits little again. */
const GOOD_MS = 60_000;

/** Faults of the master that end a feed at its start, where somebody looks; one that has sent anything waits for them to be mended. */
const AT_START = new Set(['source_not_ready', 'source_denied']);

/** Faults that waiting cannot mend; the feed ends with them. */
const FINAL = new Set([
  'token_invalid',
  'role_denied',
  'feed_denied',
  'feed_unknown',
  'protocol_unsupported',
  'session_superseded',
  'batch_invalid',
]);

/**
 * Runs a feed until `signal` is aborted. At every fault source and relay are opened anew from what the relay
 * has on its disk, after a growing wait. Throws what waiting cannot mend.
 */
export async function runFeed(deps: FeedDeps, signal: AbortSignal): Promise<void> {
  let attempt = 0;
  let sent = false;
  while (!signal.aborted) {
    const from = deps.now();
    try {
      await runOnce(deps, signal, () => {
        sent = true;
      });
      attempt = 0;
    } catch (thrown) {
      const error = asTidemarkError(thrown);
      if (signal.aborted) return;
      if (FINAL.has(error.code) || (!sent && AT_START.has(error.code))) throw error;
      if (deps.now() - from > GOOD_MS) attempt = 0;
      const waitMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** attempt++) * (0.5 + deps.random() / 2);
      logFault(deps.log, error, waitMs);
      await sleep(waitMs, undefined, { signal }).catch(() => undefined);
    }
  }
}

async function runOnce(
  { source, relay, version, log }: FeedDeps,
  signal: AbortSignal,
  sent: () => void,
): Promise<void> {
  try {
    const about = await source.open();
    const session = await relay.session({ protocol: PROTOCOL_VERSION, ...about, version });
    log('session', { head: session.head, position: session.position });
    const outbox = new Outbox(relay.sender(session.session), session.position);
    try {
      await source.run(session, outbox, signal);
    } finally {
      if (outbox.durable !== session.position) sent();
    }
  } finally {
    await source.close();
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
