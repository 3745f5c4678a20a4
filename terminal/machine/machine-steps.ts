import type { SnapshotManifest } from '@tidemark/protocol/api';
import { ERRORS, type ErrorCode } from '@tidemark/protocol/errors';
import type {
  After,
  Begin,
  Context,
  Effect,
  EventOf,
  Failure,
  PageInHand,
  PullPlan,
  RunState,
  Shared,
  State,
  StateOf,
  Step,
} from './machine-types.ts';
import { decide } from './plan.ts';
import { isDue, LONGEST_ASKED_MS, waitMs } from './retry.ts';

/** The steps that the machine's states are made of: each gives the next state and what is to be done. Pure, as machine.ts. */

/** Where the first page of an empty replica would start. */
export const NOWHERE = { seq: 0, part: 0 } as Shared['start'];
/** A long poll that was answered at once with nothing is not repeated at once, ms. */
export const POLL_PAUSE_MS = 1_000;

/** How often it is asked whether the relay is ready with what it prepares, where it does not say, ms. */
export const ASK_AGAIN_MS = 2_000;
/** How long squashed pages may take to be built before the ordinary ones are taken, ms. */
const SQUASH_MS = 2 * 60_000;
/** Faults of squashed pages that ordinary ones do not have. */
const NOT_SQUASHED = new Set<ErrorCode>([
  'squash_larger',
  'not_found',
  'request_invalid',
  'target_invalid',
  'page_invalid',
]);

export const step = (state: State, ...effects: Effect[]): Step => ({ state, effects });
export const stay = (state: State): Step => step(state);

/** What every state shares, without what is its own. */
export function shared({ configured, policy, cursor, start, paused, nextAt }: Shared): Shared {
  return { configured, policy, cursor, start, paused, nextAt };
}

export function newRun(state: State, begin: Begin, context: Context): RunState {
  return {
    mode: begin.mode,
    trigger: begin.trigger,
    wanted: begin.wanted,
    id: context.newId(),
    startedAt: context.now,
    from: state.cursor,
    target: null,
    snapshot: null,
    copied: false,
    retries: 0,
    attempt: 0,
    failingSince: null,
    compare: null,
    compared: false,
    doubted: false,
    plain: false,
    replanned: false,
  };
}

export function begin(state: State, wanted: Begin, context: Context): Step {
  const run = newRun(state, wanted, context);
  const poll: Effect[] = state.at === 'watching' ? [{ do: 'abort' }] : [];
  return step({ ...shared(state), at: 'checking', run }, ...poll, { do: 'began', run }, { do: 'probe' });
}

/** A run that nobody clicked. The first copy is a person's choice. */
export function automatic(state: State, trigger: 'start' | 'schedule', context: Context): Step {
  const due = trigger === 'schedule' || isDue(state.nextAt, context.now, state.policy.everyMs ?? 0);
  const pull = state.policy.automatic === 'sync' && state.cursor !== null && due;
  return begin(state, { mode: pull ? 'now' : 'check', trigger, wanted: null }, context);
}

/** Where the machine rests: it follows the relay, or waits for what comes. */
export function settle(state: Shared, context: Context, failed = false): Step {
  const rest = shared(state);
  if (!rest.configured) return step({ ...rest, at: 'unconfigured' });
  if (rest.policy.watch && rest.paused === null && !failed)
    return step({ ...rest, at: 'watching', since: context.now, pollAt: null }, { do: 'poll' });
  return step({ ...rest, at: 'idle' });
}

export function chain(first: Effect[], following: Step): Step {
  return step(following.state, ...first, ...following.effects);
}

export function ended(
  state: Shared,
  run: RunState,
  outcome: 'done' | 'nothing-new' | 'cancelled' | 'failed',
  context: Context,
  failure?: Failure,
): Step {
  const { everyMs, automatic } = state.policy;
  // A check by hand does not put off the sync that is due.
  const counts = run.mode !== 'check' || automatic === 'check' || run.trigger === 'schedule';
  const rest = { ...shared(state), nextAt: everyMs === null ? null : counts ? context.now + everyMs : state.nextAt };
  return chain(
    [{ do: 'ended', run, outcome, fault: failure?.fault ?? null }],
    settle(rest, context, outcome === 'failed'),
  );
}

/** An attempt failed: the run waits for another, or ends. */
export function fail(state: Shared, run: RunState, failure: Failure, context: Context): Step {
  const fresh = failure.progressed ? { ...run, attempt: 0, failingSince: null } : run;
  const attempt = fresh.attempt + 1;
  const failingSince = fresh.failingSince ?? context.now;
  const wait = waitMs(attempt, failure.retryAfterMs, context.random());
  const limit = state.policy.giveUpAfterMs;
  const hopeless = !ERRORS[failure.fault.code].retry || (limit !== null && context.now + wait - failingSince > limit);
  if (hopeless || state.paused !== null) return chain([{ do: 'abort' }], ended(state, run, 'failed', context, failure));
  const waiting = { ...fresh, attempt, failingSince, retries: run.retries + 1 };
  return step(
    { ...shared(state), at: 'waiting-to-retry', run: waiting, failure, retryAt: context.now + wait },
    { do: 'abort' },
    { do: 'attempt-failed', run: waiting, failure },
  );
}

/** Asks the relay anew, for the same run. */
export function recheck(state: Shared, run: RunState): Step {
  return step({ ...shared(state), at: 'checking', run }, { do: 'abort' }, { do: 'probe' });
}

export function progressed(run: RunState): RunState {
  return run.attempt === 0 ? run : { ...run, attempt: 0, failingSince: null };
}

export function follow(state: Shared, run: RunState, status: EventOf<'probed'>['status'], context: Context): Step {
  const decision = decide(status, run, state);
  switch (decision.by) {
    case 'nothing':
      return ended(state, run, 'nothing-new', context);
    case 'failure':
      return fail(state, run, { fault: decision.fault, retryAfterMs: null, progressed: false }, context);
    case 'pages':
      return pull(
        state,
        { ...run, target: { epoch: decision.plan.epoch, seq: decision.target }, compare: null },
        decision.plan,
      );
    case 'compare':
      return askForSnapshot(state, { ...run, target: decision.target, compare: decision.why }, context);
    case 'snapshot':
      return askForSnapshot(
        state,
        { ...run, target: decision.target, snapshot: decision.reason, compare: null },
        context,
      );
  }
}

export function askForSnapshot(state: Shared, run: RunState, context: Context): Step {
  return step(
    { ...shared(state), at: 'waiting-for-snapshot', run, since: context.now, askAt: null },
    { do: 'manifest' },
  );
}

export function pull(state: Shared, run: RunState, plan: PullPlan, against: SnapshotManifest | null = null): Step {
  const pulling = {
    ...shared(state),
    at: 'pulling' as const,
    run,
    plan,
    fetching: state.start,
    ready: null,
    applying: null,
    fetchFailure: null,
    against,
    building: null,
  };
  // Ordinary pages do not go on where squashed ones ended.
  if (state.start.squashed !== undefined && !plan.squashed)
    return step({ ...pulling, fetching: null }, { do: 'discard' });
  return step(pulling, fetch(pulling, state.start));
}

/** What a failure means that only squashed pages have; null: it is like any other. */
function squashFailed(state: StateOf<'pulling'>, event: EventOf<'failed'>, context: Context): Step | null {
  const { code } = event.fault;
  const since = state.building?.since ?? context.now;
  const late = code === 'squash_building' && context.now - since > SQUASH_MS;
  // Ordinary pages may be dearer than a copy: the relay says which it is.
  if (late || NOT_SQUASHED.has(code)) return recheck(state, { ...state.run, plain: true });
  if (code !== 'squash_building') return null;
  const askAt = context.now + Math.min(event.retryAfterMs ?? ASK_AGAIN_MS, LONGEST_ASKED_MS);
  return step({ ...state, fetching: null, building: { since, askAt } });
}

/** Asks again for the page that the relay was preparing. */
export function pullTick(state: StateOf<'pulling'>, context: Context): Step {
  const { building, start } = state;
  if (!building || !isDue(building.askAt, context.now, LONGEST_ASKED_MS)) return tick(state, context);
  return step({ ...state, fetching: start, building: { ...building, askAt: null } }, fetch(state, start));
}

const fetch = (state: Pick<StateOf<'pulling'>, 'plan' | 'run'>, start: PageInHand['start']): Effect => ({
  do: 'fetch',
  plan: state.plan,
  start,
  fresh: state.run.attempt > 0 || state.run.doubted,
});

const isEnd = (start: PageInHand['start'], { target }: PullPlan) => start.seq >= target && start.part === 0;
const same = (a: PageInHand['start'], b: PageInHand['start']) => a.seq === b.seq && a.part === b.part;

/** Applies a page, and fetches the one after it meanwhile. */
export function take(state: StateOf<'pulling'>, page: PageInHand): Step {
  const ahead = page.next !== null && !isEnd(page.next, state.plan) ? page.next : null;
  const applying: StateOf<'pulling'> = { ...state, applying: page, ready: null, fetching: ahead, building: null };
  const apply: Effect = { do: 'apply', page, squashed: state.plan.squashed };
  return step(applying, ...(ahead === null ? [] : [fetch(state, ahead)]), apply);
}

/** The page is in. Goes on with the next one, which may be here, on its way, or have failed. */
export function applied(state: StateOf<'pulling'>, { cursor, start }: EventOf<'applied'>, context: Context): Step {
  const before = state.start;
  const now: StateOf<'pulling'> = {
    ...state,
    cursor,
    start,
    run: progressed(state.run),
    applying: null,
    fetchFailure: null,
  };
  if (isEnd(start, state.plan)) {
    const { target } = now.run;
    // A squash that an earlier run began may end before this one does.
    if (target !== null && target.seq > state.plan.target)
      return pull(now, now.run, { ...state.plan, target: target.seq, squashed: false }, state.against);
    return state.against ? compare(now, now.run, state.against) : ended(now, now.run, 'done', context);
  }
  // A page that brings nothing and leads nowhere would be asked for for ever.
  if (same(before, start))
    return fail(
      now,
      now.run,
      { fault: { code: 'page_out_of_order', params: {} }, retryAfterMs: null, progressed: false },
      context,
    );
  if (state.fetchFailure) return pullFailed(now, state.fetchFailure, context);
  if (state.ready && same(state.ready.start, start)) return take(now, state.ready);
  if (state.fetching && same(state.fetching, start)) return step(now);
  return step(
    { ...now, ready: null, fetching: start },
    ...(state.fetching ? [{ do: 'abort' } as const] : []),
    fetch(now, start),
  );
}

/** The relay's history changed while pages came: it is asked once more what to do. */
export function pullFailed(state: StateOf<'pulling'>, event: EventOf<'failed'>, context: Context): Step {
  if (event.work === 'fetch' && state.applying) return step({ ...state, fetching: null, fetchFailure: event });
  const squash = state.plan.squashed ? squashFailed(state, event, context) : null;
  if (squash) return squash;
  const moved =
    event.fault.code === 'epoch_changed' ||
    event.fault.code === 'behind_horizon' ||
    event.fault.code === 'page_other_epoch';
  if (moved && !state.run.replanned) return recheck(state, { ...state.run, replanned: true });
  if (event.work === 'apply') return misfit(state, event, context) ?? fail(state, state.run, event, context);
  return fail(state, state.run, event, context);
}

/** A page could not be applied because of what stands here: the run goes on by comparing and repairing, once. Null: it is another fault. */
function misfit(state: StateOf<'pulling'>, event: EventOf<'failed'>, context: Context): Step | null {
  const { code } = event.fault;
  const { run } = state;
  if (code === 'page_invalid' && !run.doubted)
    return chain([{ do: 'abort' }], pull(state, { ...run, doubted: true }, state.plan, state.against));
  if (code !== 'replica_altered' && code !== 'schema_mismatch' && code !== 'page_invalid') return null;
  if (run.compared || run.copied) return chain([{ do: 'abort' }], ended(state, run, 'failed', context, event));
  return chain([{ do: 'abort' }], askForSnapshot(state, { ...run, compare: 'altered' }, context));
}

export function compare(state: Shared, run: RunState, manifest: SnapshotManifest): Step {
  const mayCopy = run.mode !== 'verify' || state.policy.repair;
  return step({ ...shared(state), at: 'comparing', run, manifest }, { do: 'compare', manifest, mayCopy });
}

export function installed(
  state: StateOf<'installing-snapshot'>,
  { cursor, start }: EventOf<'installed'>,
  context: Context,
): Step {
  const run: RunState = { ...progressed(state.run), copied: true };
  const rest = { ...shared(state), cursor, start };
  if (run.target === null) return ended(rest, run, 'done', context);
  if (run.target.epoch !== cursor.epoch) return recheck(rest, { ...run, target: null });
  if (cursor.seq >= run.target.seq) return ended(rest, run, 'done', context);
  return pull(rest, run, {
    epoch: cursor.epoch,
    scopes: state.manifest.scopes,
    target: run.target.seq,
    squashed: false,
  });
}

export function cancel(state: State & { run: RunState }, after: After, context: Context): Step {
  return step({ ...shared(state), at: 'cancelling', run: state.run, since: context.now, after }, { do: 'abort' });
}

/** The run was stopped, and all that it did has ended. */
export function cancelled(state: StateOf<'cancelling'>, context: Context): Step {
  const over: Effect = { do: 'ended', run: state.run, outcome: 'cancelled', fault: null };
  const after = state.after;
  if (after === 'stop') return step({ ...shared(state), at: 'stopped' }, over, { do: 'close' });
  if (after === 'close') return step({ ...shared(state), cursor: null, at: 'unconfigured' }, over, { do: 'close' });
  if (after === 'reopen')
    return chain([over, { do: 'close' }], open(state, { mode: 'check', trigger: 'start', wanted: null }, 0));
  if (after === 'settle') return chain([over], settle(state, context));
  return chain([over], begin(state, after, context));
}

export function open(state: Shared, after: StateOf<'opening'>['after'], attempt: number, setAside = false): Step {
  return step(
    { ...shared(state), cursor: null, start: NOWHERE, at: 'opening', attempt, after },
    { do: 'open', setAside },
  );
}

export function openFailed(state: StateOf<'opening'>, { fault }: Failure, context: Context): Step {
  const attempt = state.attempt + 1;
  const { retry } = ERRORS[fault.code];
  const retryAt = retry ? context.now + waitMs(attempt, null, context.random()) : null;
  return step({ ...shared(state), at: 'closed', fault, attempt, retryAt });
}

export function pause(
  state: State,
  event: EventOf<'pause'>,
  context: Context,
  interrupted: Begin | null = null,
): Shared['paused'] {
  const before = state.paused;
  return {
    since: before?.since ?? context.now,
    until: event.until,
    by: event.by,
    interrupted: interrupted ?? before?.interrupted ?? null,
  };
}

export const beginOf = ({ mode, trigger, wanted }: RunState): Begin => ({ mode, trigger, wanted });

/** The pause is over: what it interrupted goes on. */
export function resumed(state: State, context: Context): Step {
  const rest: State = { ...state, paused: null };
  if (state.paused === null) return step(rest);
  if (rest.at !== 'idle') return step(rest);
  if (state.paused.interrupted) return begin(rest, state.paused.interrupted, context);
  if (rest.policy.watch) return settle(rest, context);
  return rest.policy.everyMs === null
    ? begin(rest, { mode: 'check', trigger: 'manual', wanted: null }, context)
    : automatic(rest, 'schedule', context);
}

const pauseIsOver = (state: State, { now }: Context) =>
  state.paused !== null && state.paused.until !== null && now >= state.paused.until;

/** A tick in a state that waits for nothing of its own. */
export const tick = (state: State, context: Context): Step =>
  pauseIsOver(state, context) ? resumed(state, context) : stay(state);

export function idleTick(state: StateOf<'idle'> | StateOf<'watching'>, context: Context): Step {
  if (pauseIsOver(state, context)) return resumed(state, context);
  if (state.paused === null && isDue(state.nextAt, context.now, state.policy.everyMs ?? 0))
    return automatic(state, 'schedule', context);
  if (state.at === 'watching' && isDue(state.pollAt, context.now, POLL_PAUSE_MS)) {
    return step({ ...state, since: context.now, pollAt: null }, { do: 'poll' });
  }
  return stay(state);
}

/** New policy for the schedule: counted from now. */
export function withSettings(state: Shared, event: EventOf<'settings'>, context: Context): Shared {
  const { policy, configured } = event;
  const same = policy.everyMs === state.policy.everyMs;
  const nextAt = same ? state.nextAt : policy.everyMs === null ? null : context.now + policy.everyMs;
  return { ...shared(state), configured, policy, nextAt };
}

/** Settings while nothing runs. */
export function settingsAtRest(state: State, event: EventOf<'settings'>, context: Context, isOpen: boolean): Step {
  const rest = withSettings(state, event, context);
  const poll: Effect[] = state.at === 'watching' ? [{ do: 'abort' }] : [];
  if (!event.feedNamed) return step({ ...rest, cursor: null, at: 'unconfigured' }, ...poll, { do: 'close' });
  if (event.reopen || !isOpen) return chain([...poll, { do: 'close' }], open(rest, 'start-up', 0));
  if (!event.configured) return chain(poll, settle(rest, context));
  if (event.reconnect)
    return chain(poll, begin({ ...rest, at: 'idle' }, { mode: 'check', trigger: 'start', wanted: null }, context));
  if (state.at === 'watching' && event.policy.watch) return step({ ...state, ...rest });
  return chain(poll, settle(rest, context));
}

/** Settings while a run is under way: another relay or feed ends it. */
export function settingsInRun(state: State & { run: RunState }, event: EventOf<'settings'>, context: Context): Step {
  const rest = withSettings(state, event, context);
  const after = afterSettings(event);
  return after === null ? step({ ...state, ...rest }) : cancel({ ...state, ...rest }, after, context);
}

/** What new settings make of a run under way; null: it goes on. */
export function afterSettings(event: EventOf<'settings'>): After | null {
  if (!event.feedNamed) return 'close';
  if (event.reopen) return 'reopen';
  if (!event.configured) return 'settle';
  return event.reconnect ? { mode: 'check', trigger: 'start', wanted: null } : null;
}
