import { ERRORS } from '@tidemark/protocol/errors';
import { type Context, precede, type Step, step } from '../effect.ts';
import type { Failure } from '../event.ts';
import { waitMs } from '../retry-wait.ts';
import { type RunState, withFailure, withProgress } from '../run-state.ts';
import { type Shared, shared } from '../state.ts';
import { rest } from './transitions.ts';

/** How an attempt ends: the run ends too, or waits for its next attempt. */

type Outcome = 'done' | 'nothing-new' | 'cancelled' | 'failed';

export function endRun(state: Shared, run: RunState, outcome: Outcome, context: Context, failure?: Failure): Step {
  const ended = {
    ...shared(state),
    nextAt: nextAutomaticRun(state, run, context),
    // A run that moved the replica shows that the relay answers again.
    fruitlessPolls: outcome === 'done' ? 0 : state.fruitlessPolls,
  };
  return precede(
    [{ do: 'ended', run, outcome, fault: failure?.fault ?? null }],
    rest(ended, context, outcome === 'failed' ? 'failure' : 'anything'),
  );
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
