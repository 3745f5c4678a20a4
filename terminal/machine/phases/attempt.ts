import { ERRORS } from '@tidemark/protocol/errors';
import { type Context, precede, type Step, step } from '../effect.ts';
import type { Failure } from '../event.ts';
import { waitMs } from '../retry-wait.ts';
import { type RunState, withFailure, withProgress } from '../run-state.ts';
import { type Shared, shared } from '../state.ts';
import { closeFor, isOfSurroundings, rest } from './transitions.ts';

/** How an attempt ends: the run ends too, or waits for its next attempt. */

/** After this time without a run that replaced or repaired the data, such runs count from 1 again, ms. */
const FORGOTTEN_MS = 60 * 60_000;

type Outcome = 'done' | 'nothing-new' | 'cancelled' | 'failed';

export function endRun(state: Shared, run: RunState, outcome: Outcome, context: Context, failure?: Failure): Step {
  const replacements = replacementsAfter(state, run, context);
  const ended = {
    ...shared(state),
    nextAt: nextAutomaticRun(state, run, context),
    replacements,
    fruitlessPolls: fruitlessPollsAfter({ ...state, replacements }, run, outcome),
  };
  const fault = failure?.fault ?? null;
  if (fault !== null && isOfSurroundings(fault))
    return precede(
      [{ do: 'ended', run, outcome, fault }],
      closeFor(ended, fault, Math.max(1, ended.fruitlessPolls), context),
    );
  // After a failure that another run may avoid, the machine continues to follow the relay.
  const isFinal = fault !== null && !ERRORS[fault.code].retry && run.basis.by !== 'snapshot';
  return precede(
    [{ do: 'ended', run, outcome, fault }],
    rest(ended, context, outcome === 'failed' && isFinal ? 'failure' : 'anything'),
  );
}

/**
 * Counts runs in a row that did not move the replica by pages. A run that replaced or repaired the data counts, as a failed
 * run does: relays that disagree would otherwise make one such run follow another. So does a run that a poll started and
 * that found nothing.
 */
function fruitlessPollsAfter(
  { fruitlessPolls, replacements }: Shared,
  { basis, request }: RunState,
  outcome: Outcome,
): number {
  if (basis.by !== 'replica') return Math.max(fruitlessPolls + 1, replacements?.count ?? 0);
  if (outcome === 'done') return 0;
  const counts = outcome === 'failed' || (outcome === 'nothing-new' && request.trigger === 'watch');
  return counts ? fruitlessPolls + 1 : fruitlessPolls;
}

/** Counts runs that replaced or repaired the data without a person's request. */
function replacementsAfter(
  { replacements }: Shared,
  { basis, request }: RunState,
  { uptimeMs }: Context,
): Shared['replacements'] {
  if (basis.by === 'replica' || request.trigger !== 'watch') return replacements;
  const isRecent = replacements !== null && uptimeMs - replacements.endedUptimeMs < FORGOTTEN_MS;
  return { count: (isRecent ? replacements.count : 0) + 1, endedUptimeMs: uptimeMs };
}

/** The interval counts from the end of this run. A manual check does not postpone a sync that is due. */
function nextAutomaticRun(state: Shared, { request }: RunState, { now }: Context): number | null {
  const { everyMs, automatic } = state.policy;
  if (everyMs === null) return null;
  const counts = request.mode !== 'check' || automatic === 'check' || request.trigger === 'schedule';
  return counts ? now + everyMs : state.nextAt;
}

/**
 * Retries later, or ends the run. The run ends when a retry cannot help, when attempts have failed for longer than the
 * policy allows, or when a pause has begun.
 */
export function failAttempt(state: Shared, run: RunState, failure: Failure, context: Context): Step {
  const waiting = withFailure(failure.progressed ? withProgress(run) : run, context.now);
  const { attempts, since } = waiting.failures.streak;
  const wait = waitMs(attempts, failure.retryAfterMs, context.random());
  const limit = state.policy.giveUpAfterMs;
  const givesUp = limit !== null && context.now + wait - since > limit;
  if (!ERRORS[failure.fault.code].retry || givesUp || state.paused !== null)
    return failRun(state, run, failure, context);
  return step(
    { ...shared(state), at: 'waiting-to-retry', run: waiting, failure, retryAt: context.now + wait },
    { do: 'abort' },
    { do: 'attempt-failed', run: waiting, failure },
  );
}

/** Ends the run and its work in flight, although a retry might help. */
export function failRun(state: Shared, run: RunState, failure: Failure, context: Context): Step {
  return precede([{ do: 'abort' }], endRun(state, run, 'failed', context, failure));
}
