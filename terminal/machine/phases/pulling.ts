import type { PageStart } from '@tidemark/protocol/cursor';
import type { ErrorCode } from '@tidemark/protocol/errors';
import { askAgainMs, LONGEST_ASK_MS } from '@tidemark/protocol/retry-wait';
import { type Context, type Effect, type Handlers, precede, type Step, step } from '../effect.ts';
import type { EventOf } from '../event.ts';
import { isDue } from '../retry-wait.ts';
import { hasTried, toCompare, withProgress, withRemedy } from '../run-state.ts';
import type { ArrivedPage, NextPage, PullPlan, StateOf } from '../state.ts';
import { endRun, failAttempt, failRun } from './attempt.ts';
import { DURING_RUN } from './during-run.ts';
import { pauseTick } from './settings-and-pause.ts';
import { check, compare, fetchPage, pull, requestSnapshot } from './transitions.ts';

/**
 * A run pulls pages to its target. It fetches the next page while it applies the current one.
 *
 * Order: the run applies a page only after the page before it. A failure to fetch the next page takes effect only after
 * the current one is applied, so that no page that has arrived is lost.
 */

/** How long the run waits for the relay to build compacted pages before it takes ordinary ones, ms. */
const BUILDING_MS = 2 * 60_000;
/** Errors that compacted pages can cause and ordinary ones cannot. */
const ONLY_COMPACTED = new Set<ErrorCode>([
  'squash_larger',
  'not_found',
  'request_invalid',
  'target_invalid',
  'page_invalid',
]);
/** Errors that mean that the relay's history changed while pages arrived. */
const MOVED = new Set<ErrorCode>(['epoch_changed', 'behind_horizon', 'page_other_epoch']);
/** Errors that mean that the page does not fit the replica. */
const MISFIT = new Set<ErrorCode>(['replica_altered', 'schema_mismatch', 'page_invalid']);

type Pulling = StateOf<'pulling'>;

export const pulling: Handlers<'pulling'> = {
  ...DURING_RUN,
  fetched: takePage,
  applied: continueAfterPage,
  failed: keepOrHandleFailure,
  tick: repeatRequestWhenDue,
};

function takePage(state: Pulling, { page }: EventOf<'fetched'>): Step {
  return state.applying ? step({ ...state, next: { is: 'arrived', page } }) : applyPage(state, page);
}

/** Applies a page and meanwhile fetches the next one. */
function applyPage(state: Pulling, page: ArrivedPage): Step {
  const { plan, run } = state;
  const last = isEnd(page.next, plan);
  const next: NextPage = last ? { is: 'none' } : { is: 'requested', start: page.next, buildingSince: null };
  const fetch: Effect[] = last ? [] : [fetchPage(run, plan, page.next)];
  return step({ ...state, applying: page, next }, ...fetch, { do: 'apply', page, kind: plan.kind });
}

/** The page is written. The next one may have arrived, be in flight, or have failed. */
function continueAfterPage(before: Pulling, { cursor, start }: EventOf<'applied'>, context: Context): Step {
  const { next, plan } = before;
  // The run would request a page that does not move the replica without end. Such a page is no progress, so the waits
  // grow.
  if (isSame(before.start, start) && !isEnd(start, plan)) {
    const fault = { code: 'page_out_of_order' as const, params: {} };
    return failAttempt(before, before.run, { fault, retryAfterMs: null, progressed: false }, context);
  }
  const state: Pulling = { ...before, cursor, start, run: withProgress(before.run), applying: null };
  if (isEnd(start, plan)) return endPull(state, context);
  if (next.is === 'failed') return handleFailure({ ...state, next: { is: 'none' } }, next.failure, context);
  if (next.is === 'arrived' && isSame(next.page.start, start)) return applyPage(state, next.page);
  if (next.is === 'requested' && isSame(next.start, start)) return step(state);
  const abort: Effect[] = next.is === 'requested' ? [{ do: 'abort' }] : [];
  return step(
    { ...state, next: { is: 'requested', start, buildingSince: null } },
    ...abort,
    fetchPage(state.run, plan, start),
  );
}

/** The replica has reached the plan's target. */
function endPull(state: Pulling, context: Context): Step {
  const { run, plan, compareWith } = state;
  // The plan may have finished only the compacted transaction of an earlier run, which ends before this run does.
  if (run.target !== null && run.target.seq > plan.target)
    return pull(state, run, { ...plan, target: run.target.seq, kind: 'ordinary' }, compareWith);
  return compareWith ? compare(state, toCompare(run, 'requested'), compareWith) : endRun(state, run, 'done', context);
}

function keepOrHandleFailure(state: Pulling, event: EventOf<'failed'>, context: Context): Step {
  return event.work === 'fetch' && state.applying
    ? step({ ...state, next: { is: 'failed', failure: event } })
    : handleFailure(state, event, context);
}

function handleFailure(state: Pulling, event: EventOf<'failed'>, context: Context): Step {
  const { run } = state;
  const { code } = event.fault;
  const handled = state.plan.kind === 'compacted' ? handleCompactedFailure(state, event, context) : null;
  if (handled) return handled;
  if (MOVED.has(code) && !hasTried(run, 'replan')) return check(state, withRemedy(run, 'replan'));
  const rejected = event.work === 'apply' || code === 'page_invalid';
  if (rejected && MISFIT.has(code)) return handleMisfit(state, event, context);
  return failAttempt(state, run, event, context);
}

/**
 * Handles a failure that only compacted pages have: waits while the relay builds them, or changes to ordinary ones.
 * Null: another failure.
 */
function handleCompactedFailure(state: Pulling, event: EventOf<'failed'>, context: Context): Step | null {
  const { code } = event.fault;
  const since = buildingSince(state.next) ?? context.now;
  const late = code === 'squash_building' && context.now - since > BUILDING_MS;
  // Ordinary pages may cost more than a snapshot, so ask the relay for a new plan.
  if (late || ONLY_COMPACTED.has(code)) return check(state, withRemedy(state.run, 'ordinary-pages'));
  if (code !== 'squash_building') return null;
  const askAt = context.now + askAgainMs(context.now - since, event.retryAfterMs, context.random());
  return step({ ...state, next: { is: 'building', since, askAt } });
}

/** Fetches an invalid page once more, bypassing caches. Any other misfit starts a comparison, at most once in a run. */
function handleMisfit(state: Pulling, event: EventOf<'failed'>, context: Context): Step {
  const { run, plan, compareWith } = state;
  if (event.fault.code === 'page_invalid' && !hasTried(run, 'refetch'))
    return precede([{ do: 'abort' }], pull(state, withRemedy(run, 'refetch'), plan, compareWith));
  if (run.basis.by !== 'replica') return failRun(state, run, event, context);
  return precede([{ do: 'abort' }], requestSnapshot(state, toCompare(run, 'altered'), context));
}

function repeatRequestWhenDue(state: Pulling, _: object, context: Context): Step {
  const { next, start, run, plan } = state;
  if (next.is !== 'building' || !isDue(next.askAt, context.now, LONGEST_ASK_MS)) return pauseTick(state, context);
  return step({ ...state, next: { is: 'requested', start, buildingSince: next.since } }, fetchPage(run, plan, start));
}

/** Returns when the relay began to build compacted pages. Null when it is not building any. */
export function buildingSince(next: NextPage): number | null {
  if (next.is === 'building') return next.since;
  return next.is === 'requested' ? next.buildingSince : null;
}

const isEnd = (start: PageStart, { target }: PullPlan) => start.seq >= target && start.part === 0;
const isSame = (a: PageStart, b: PageStart) => a.seq === b.seq && a.part === b.part;
