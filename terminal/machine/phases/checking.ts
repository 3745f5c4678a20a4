import type { RelayStatus } from '@tidemark/protocol/api';
import { decide } from '../decision.ts';
import { type Context, type Handlers, ignore, type Step, step } from '../effect.ts';
import type { EventOf } from '../event.ts';
import { type RunState, toCompare, toCopy } from '../run-state.ts';
import type { Shared, StateOf } from '../state.ts';
import { endRun, failAttempt, failRun } from './attempt.ts';
import { DURING_RUN } from './during-run.ts';
import { cancel, pull, requestSnapshot } from './transitions.ts';

/**
 * The run asks the relay how far behind the replica is and how it can catch up. The answer decides what the run does
 * next.
 */

export const checking: Handlers<'checking'> = {
  ...DURING_RUN,
  start: upgradeCheck,
  probed: followStatus,
};

/** Turns a check into the run that was requested meanwhile. A fresh copy starts as a run of its own. */
function upgradeCheck(state: StateOf<'checking'>, event: EventOf<'start'>, context: Context): Step {
  const { run } = state;
  if (run.request.mode !== 'check' || event.mode === 'check') return ignore(state);
  const { mode, trigger, upTo } = event;
  if (mode === 'recopy') return cancel(state, { mode, trigger, upTo }, context);
  return step({ ...state, run: { ...run, request: { mode, trigger, upTo } } });
}

function followStatus(state: StateOf<'checking'>, { status, altered }: EventOf<'probed'>, context: Context): Step {
  const { run } = state;
  const mustRepair = altered && run.request.mode !== 'check' && run.preparation?.by !== 'comparison';
  return followPlan(state, mustRepair ? toCompare(run, 'altered') : run, status, context);
}

/** Enters the state that the decision requires. */
export function followPlan(state: Shared, run: RunState, status: RelayStatus, context: Context): Step {
  const decision = decide(status, run, state);
  switch (decision.by) {
    case 'nothing':
      return endRun(state, run, 'nothing-new', context);
    case 'failure': {
      const failure = { fault: decision.fault, retryAfterMs: null, progressed: false };
      // This run has already taken a copy, so only another run may take the next one.
      const ends = decision.fault.code === 'epoch_unstable';
      return ends ? failRun(state, run, failure, context) : failAttempt(state, run, failure, context);
    }
    case 'pages': {
      const target = { epoch: decision.plan.epoch, seq: decision.target };
      return pull(state, { ...run, target, preparation: null }, decision.plan);
    }
    case 'comparison':
      return requestSnapshot(state, toCompare({ ...run, target: decision.target }, decision.reason), context);
    case 'snapshot':
      return requestSnapshot(state, toCopy({ ...run, target: decision.target }, decision.reason), context);
  }
}
